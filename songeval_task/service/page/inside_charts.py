"""Charts of embeddings: log-mel and self-similarity, a map of songs, nearest neighbours."""

import re
from collections.abc import Sequence
from html import escape
from io import BytesIO

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from hear_aesthetics.plotting.song import song_figure
from hear_aesthetics.plotting.style import FAINT, INK, QUIET
from songeval_task.service.page.songs import name_html

__all__ = ["neighbours", "principal_components", "song_map", "song_svg", "themed_svg"]

# Colours of pictures -> those of the page's style sheet, which has a light and a dark set.
THEME = {INK: "var(--ha-ink)", QUIET: "var(--ha-quiet)", FAINT: "var(--ha-grid)"}
MAP_WIDTH, MAP_HEIGHT, MARGIN = 420, 300, 30  # units of the view box, which a phone shows whole
MOST_NAMES = 12  # that find room beside their points
NAME_LENGTH = 24  # characters beside a point
NEIGHBOURS = 3


def themed_svg(figure: Figure, said: str) -> str:
    """Return a figure as SVG for the page: its text is text, its colours follow the theme.

    Args:
        figure: A figure in the common style.
        said: What it shows, for those who cannot see it.
    """
    figure.patch.set_visible(False)
    picture = BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hear-aesthetics"}):
        figure.savefig(picture, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = picture.getvalue().decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r"font: [^;\"]*?([\d.]+px)[^;\"]*", r"font: \1 sans-serif", text)
    for colour, variable in THEME.items():
        text = text.replace(colour, variable)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(said)}" ', 1)


def song_svg(waveform: np.ndarray, embeddings: np.ndarray) -> str:
    """Return the log-mel spectrogram of a song above the self-similarity of its embeddings.

    Shape:
        - waveform: ``(samples,)`` at 24 kHz
        - embeddings: ``(frames, dim)``, evenly spaced over the waveform
    """
    figure = song_figure(waveform, embeddings)
    said = "Log-mel spectrogram, and below it how alike any two moments of the song are"
    return (
        f'<div class="ha-picture">{themed_svg(figure, said)}</div>'
        '<p class="ha-note">Above: loudness over frequency and time. Below: how alike the model '
        "finds any two moments; stripes beside the diagonal are parts that come again, blocks "
        "are parts that stay the same.</p>"
    )


def principal_components(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two main directions in which songs differ.

    Returns:
        The songs in them, ``(songs, 2)``, and the shares of the variance that they explain.

    Shape:
        - embeddings: ``(songs, dim)``, songs >= 2
    """
    centred = (embeddings - embeddings.mean(axis=0)).astype(np.float64)
    left, spread, _ = np.linalg.svd(centred, full_matrices=False)
    total = np.square(spread).sum()
    shares = np.square(spread[:2]) / total if total else np.zeros(2)
    return left[:, :2] * spread[:2], shares


def song_map(names: Sequence[str], embeddings: np.ndarray) -> str:
    """Return a map of songs by the principal components of their embeddings.

    Shape:
        - embeddings: ``(songs, dim)``
    """
    points, shares = principal_components(embeddings)
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    extent = np.maximum(points.max(axis=0) - points.min(axis=0), 1e-9)
    room = np.array([MAP_WIDTH - 2 * MARGIN, MAP_HEIGHT - 2 * MARGIN])
    scale = (room / extent).min()  # one for both directions, so that distances are comparable
    placed = np.array([MAP_WIDTH, MAP_HEIGHT]) / 2 + (points - middle) * scale * [1, -1]
    parts = []
    for index, (name, (x, y)) in enumerate(zip(names, placed, strict=True)):
        label = name if len(names) <= MOST_NAMES else str(index + 1)
        label = label if len(label) <= NAME_LENGTH else f"{label[: NAME_LENGTH - 1]}…"
        left = x > MAP_WIDTH / 2
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{escape(name)}</title></circle>'
            f'<text x="{x + (-9 if left else 9):.1f}" y="{y + 4:.1f}" '
            f'text-anchor="{"end" if left else "start"}">{escape(label)}</text>'
        )
    said = f"Map of {len(names)} songs; the table below names the nearest of each"
    return (
        '<div class="ha-picture"><svg class="ha-map" '
        f'viewBox="0 0 {MAP_WIDTH} {MAP_HEIGHT}" role="img" aria-label="{said}">'
        f"{''.join(parts)}</svg></div>"
        '<p class="ha-note">The two main directions in which the embeddings of these songs differ '
        f"(principal components): {shares[0]:.0%} of the variance from left to right, "
        f"{shares[1]:.0%} from bottom to top, on one scale. Other songs give other directions.</p>"
    )


def neighbours(names: Sequence[str], embeddings: np.ndarray) -> str:
    """Return a table of the songs nearest to each, by the cosine of their embeddings.

    Shape:
        - embeddings: ``(songs, dim)``
    """
    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    lines = []
    for index, name in enumerate(names):
        nearest = np.argsort(-cosines[index], kind="stable")[: min(NEIGHBOURS, len(names) - 1)]
        said = [f"{name_html(names[other])} ({cosines[index, other]:.3f})" for other in nearest]
        lines.append(
            f'<tr><td>{index + 1}</td><th scope="row" class="ha-text">{name_html(name)}</th>'
            f'<td class="text">{"<br>".join(said)}</td></tr>'
        )
    return (
        '<div class="ha-scroll" tabindex="0" role="region" aria-label="Nearest songs"><table>'
        '<thead><tr><th scope="col">No.</th><th scope="col" class="ha-text">Song</th>'
        '<th scope="col" class="ha-text">Nearest (cosine of the embeddings)</th></tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )
