"""Picture of a song: log-mel spectrogram above, self-similarity matrix of the embeddings below."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from hear_aesthetics.backbones.log_mel import LogMel
from hear_aesthetics.plotting.style import (
    COLOURS,
    DIVERGING,
    INK,
    SMALL,
    TEXT,
    WIDTH,
    new_figure,
    place,
    save,
)
from hear_aesthetics.spec import N_MELS, SAMPLE_RATE

if TYPE_CHECKING:
    from hear_aesthetics.synthesis.composition.records import Section

__all__ = ["draw_song", "self_similarity", "song_figure"]

# Inches. The similarity matrix is square; the spectrogram above it has the same width.
LEFT, RIGHT, BOTTOM = 0.75, 0.68, 0.42
SQUARE, MEL = WIDTH - LEFT - RIGHT, 1.3
STRIP, GAP = 0.15, 0.04  # strips that name the sections, and the air around them
BAR, BAR_GAP = 0.09, 0.07  # colour bars
LABEL = 0.6  # left of the panels, of the labels of vertical axes: both in one line

SIMILARITY = LinearSegmentedColormap.from_list("similarity", DIVERGING)
TICKS_HZ = (100, 300, 600, 1000, 2000, 4000, 8000)
SIMILARITY_TICKS = (-1.0, -0.5, 0.0, 0.5, 1.0)
MEL_TICKS = (-75.0, -50.0, -25.0, 0.0)  # dB; the first is the darkest shown
MEL_COLUMNS = 3000  # more would not be seen
CELLS = 1500  # rows of a similarity matrix; more would not be seen
SMOOTHING = 5  # embeddings averaged before they are compared: 0.2 s, about a note


def self_similarity(embeddings: np.ndarray, smoothing: int = SMOOTHING) -> np.ndarray:
    """Return the cosine similarity of all frames, less the song's mean embedding.

    Without that subtraction all cosines of a song lie near 1. A running mean over ``smoothing``
    frames is taken before the comparison.

    Shape:
        - embeddings: ``(frames, dim)``
        - output: ``(cells, cells)`` in [-1, 1], cells = frames, or fewer where frames are averaged
    """
    centred = embeddings - embeddings.mean(axis=0)
    step = -(-len(centred) // CELLS)
    reach = max(smoothing, step)
    sums = np.cumsum(np.pad(centred.astype(np.float64), ((1, 0), (0, 0))), axis=0)
    middle = np.arange(step // 2, len(centred), step)
    first = np.maximum(middle - reach // 2, 0)
    last = np.minimum(middle - reach // 2 + reach, len(centred))
    means = (sums[last] - sums[first]) / (last - first)[:, None]
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    return np.clip(means @ means.T, -1.0, 1.0)


def draw_song(path: Path, waveform: np.ndarray, embeddings: np.ndarray, **options: Any) -> None:
    """Write a PNG of a song; arguments as those of :func:`song_figure`."""
    save(song_figure(waveform, embeddings, **options), path)


def song_figure(
    waveform: np.ndarray,
    embeddings: np.ndarray,
    *,
    title: str = "",
    subtitle: str = "",
    sections: "Sequence[Section]" = (),
) -> Figure:
    """Return a figure of a song: log-mel above, self-similarity below, on one time axis.

    Sections are marked in both panels; equal names share a colour.

    Shape:
        - waveform: ``(samples,)`` at 24 kHz
        - embeddings: ``(frames, dim)``, evenly spaced over the waveform
    """
    seconds = len(waveform) / SAMPLE_RATE
    names = dict.fromkeys(section.name for section in sections)
    colour = dict(zip(names, itertools.cycle(COLOURS), strict=False))
    between = STRIP + 2 * GAP if sections else 3 * GAP
    figure, header = new_figure(WIDTH, MEL + between + SQUARE + BOTTOM, title, subtitle)
    top = header + MEL + between  # of the square
    square = place(figure, LEFT, top, SQUARE, SQUARE)
    _draw_similarity(figure, square, self_similarity(embeddings), seconds)
    mel = place(figure, LEFT, header, SQUARE, MEL, sharex=square)
    _draw_mel(figure, mel, waveform, seconds)
    if sections:
        above = place(figure, LEFT, top - GAP - STRIP, SQUARE, STRIP, sharex=square)
        _draw_strip(above, sections, colour)
        beside = place(figure, LEFT - GAP - STRIP, top, STRIP, SQUARE, sharey=square)
        _draw_strip(beside, sections, colour, upright=True)
        square.tick_params(axis="y", length=0, pad=72 * (STRIP + 2 * GAP))
    for section in sections[1:]:
        mel.axvline(section.start, color="white", lw=0.7, ls=(0, (4, 3)), alpha=0.75)
        square.axvline(section.start, color=INK, lw=0.5, alpha=0.55)
        square.axhline(section.start, color=INK, lw=0.5, alpha=0.55)
    return figure


def _draw_similarity(figure: Figure, axes: Axes, similarity: np.ndarray, seconds: float) -> None:
    """Draw the matrix with time running right and down."""
    axes.set_xlabel("time (s)", size=TEXT, color=INK)
    labels = "time (s)", "cosine of the embeddings less their mean"
    scale = {"cmap": SIMILARITY, "vmin": -1, "vmax": 1}
    extent = (0, seconds, seconds, 0)
    _draw_image(figure, axes, similarity, labels, SIMILARITY_TICKS, extent=extent, **scale)


def _draw_mel(figure: Figure, axes: Axes, waveform: np.ndarray, seconds: float) -> None:
    with torch.no_grad():
        mel = LogMel()(torch.from_numpy(waveform)[None])[0].numpy()
    mel = mel[:, :: -(-mel.shape[1] // MEL_COLUMNS)]
    labels = "frequency (Hz, mel scale)", "level (dB re loudest)"
    scale = {"cmap": "magma", "vmin": MEL_TICKS[0], "vmax": 0, "origin": "lower"}
    extent = (0, seconds, -0.5, N_MELS - 0.5)
    _draw_image(figure, axes, mel - mel.max(), labels, MEL_TICKS, extent=extent, **scale)
    axes.tick_params(axis="x", length=0, labelbottom=False)
    axes.set_yticks([_band(hertz) for hertz in TICKS_HZ], [f"{hertz:,}" for hertz in TICKS_HZ])


def _band(hertz: float) -> float:
    """Return the position of a frequency between the centres of the mel bands (HTK scale)."""
    mels = np.log10(1 + np.array([hertz, SAMPLE_RATE / 2]) / 700)
    return float(mels[0] / mels[1] * (N_MELS + 1) - 1)


def _draw_image(
    figure: Figure,
    axes: Axes,
    values: np.ndarray,
    labels: tuple[str, str],
    ticks: Sequence[float],
    **options: Any,
) -> None:
    """Draw a matrix, the label of its vertical axis, and to the right its colour scale."""
    image = axes.imshow(values, aspect="auto", interpolation="antialiased", **options)
    axes.set_ylabel(labels[0], size=TEXT, color=INK)
    axes.yaxis.set_label_coords(-LABEL / SQUARE, 0.5)
    box, height = axes.get_position(), figure.get_figheight()
    across = LEFT + SQUARE + BAR_GAP
    panel = place(figure, across, (1 - box.y1) * height, BAR, box.height * height)
    bar = figure.colorbar(image, cax=panel, ticks=ticks)
    bar.set_label(labels[1], size=SMALL, color=INK)
    bar.outline.set_visible(False)  # type: ignore[operator]


def _draw_strip(
    axes: Axes, sections: "Sequence[Section]", colour: dict[str, str], *, upright: bool = False
) -> None:
    """Draw a block with its name per section, along the time axis."""
    for section in sections:
        draw = axes.axhspan if upright else axes.axvspan
        draw(section.start, section.end, color=colour[section.name], lw=0)
        along, across = (section.start + section.end) / 2, 0.5
        axes.text(
            *((across, along) if upright else (along, across)),
            section.name,
            transform=axes.get_yaxis_transform() if upright else axes.get_xaxis_transform(),
            ha="center",
            va="center_baseline",
            size=SMALL,
            weight="bold",
            color="white",
        )
    axes.set_axis_off()
