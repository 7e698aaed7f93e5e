"""Charts of scores as HTML and SVG: a radar per song, and a song's curves under its waveform.

They take their colours from the page's style sheet, so that one chart serves light and dark, and
their width from where they stand. Every name in them is escaped.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from songeval_task.scoring.plots.song_rows import MAX_SONGS, axis_limits
from songeval_task.scoring.rows import ScoreRow
from songeval_task.scoring.scorer_set import HIGH, LOW
from songeval_task.service.page.songs import Song, name_html

__all__ = ["PEAKS", "peaks", "radar", "song_view"]

PEAKS = 600  # columns of a waveform: about one per pixel
RADIUS, MIDDLE, TOP = 92.0, 180.0, 118.0  # of a radar, in units of its view box
VIEW = "0 0 360 234"
PLOT = 'viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true" focusable="false"'
RING_STEPS, MOST_RINGS = (0.5, 1.0, 2.0, 2.5, 5.0), 5
STEPS = (5, 10, 15, 30, 60, 120, 300, 600, 1200)  # seconds between marks of a time axis
MOST_MARKS = 8
NOTICEABLE = 0.005  # of a score: less is written 0.00


def peaks(waveform: np.ndarray) -> np.ndarray:
    """Return the lowest and highest sample of each of ``PEAKS`` stretches of a waveform.

    Shape:
        - waveform: ``(samples,)``, samples >= 1
        - output: ``(2, PEAKS)`` float32
    """
    starts = np.arange(PEAKS) * len(waveform) // PEAKS
    low, high = np.minimum.reduceat(waveform, starts), np.maximum.reduceat(waveform, starts)
    return np.stack([low, high]).astype(np.float32)


def radar(songs: Sequence[Song], dimensions: Sequence[str]) -> str:
    """Return a radar per song; fewer than three dimensions become a scale each.

    Args:
        songs: At most ``MAX_SONGS`` are drawn.
        dimensions: Columns to draw.
    """
    songs = songs[:MAX_SONGS]
    if not songs:
        return '<p class="ha-note">Tick songs in the table to see them here.</p>'
    names = [name + end for name in dimensions for end in ("", LOW, HIGH)]
    known = [[song.row.get(name) for name in names] for song in songs]
    low, high = axis_limits(np.array(known, dtype=float))  # None becomes NaN
    draw = _radar if len(dimensions) > 2 else _scales
    figures = []
    for index, song in enumerate(songs):
        others = [other.row for other in songs if other is not song]
        said = ", ".join(f"{name} {song.row[name]:.2f}" for name in dimensions)
        figures.append(
            f'<figure class="ha-radar" style="--line: var(--ha-line-{index})">'
            f"<figcaption>{name_html(song.name)} <b>{song.row['mean']:.2f}</b></figcaption>"
            f'<svg viewBox="{VIEW}" role="img" aria-label="{escape(song.name)}: {escape(said)}">'
            f"{draw(song.row, others, dimensions, low, high)}</svg></figure>"
        )
    bands = any(song.row.get(dimensions[0] + LOW) is not None for song in songs)
    note = "Grey: the other songs." if len(songs) > 1 else ""
    note += " Ring: the interval of each score." if bands else ""
    return f'<div class="ha-radars">{"".join(figures)}</div><p class="ha-note">{note}</p>'


def _radar(
    row: ScoreRow, others: Sequence[ScoreRow], dimensions: Sequence[str], low: float, high: float
) -> str:
    """Return the inside of a radar whose centre lies a little below the lowest value."""
    floor = low - 0.15 * (high - low)

    def point(index: int, value: float) -> str:
        angle = 2 * math.pi * index / len(dimensions)
        reach = RADIUS * (value - floor) / (high - floor)
        return f"{MIDDLE + reach * math.sin(angle):.1f},{TOP - reach * math.cos(angle):.1f}"

    def outline(values: Sequence[float]) -> str:
        return " ".join(point(index, value) for index, value in enumerate(values))

    wide = (high - low) / (MOST_RINGS - 1)
    step = next((step for step in RING_STEPS if step >= wide), wide)
    rings = np.arange(math.ceil(low / step) * step, high + 1e-9, step)
    reaches = [RADIUS * (value - floor) / (high - floor) for value in rings]
    parts = [
        f'<circle class="grid" cx="{MIDDLE}" cy="{TOP}" r="{reach:.1f}"/>' for reach in reaches
    ]
    for index, name in enumerate(dimensions):
        angle = 2 * math.pi * index / len(dimensions)
        side = math.sin(angle)
        anchor = "middle" if abs(side) < 0.1 else ("start" if side > 0 else "end")
        across, down = MIDDLE + (RADIUS + 9) * side, TOP - (RADIUS + 12) * math.cos(angle) + 4
        parts.append(
            f'<line class="grid" x1="{MIDDLE}" y1="{TOP}" x2="{MIDDLE + RADIUS * side:.1f}" '
            f'y2="{TOP - RADIUS * math.cos(angle):.1f}"/>'
            f'<text x="{across:.1f}" y="{down:.1f}" text-anchor="{anchor}">{escape(name)}</text>'
        )
    for other in others:
        parts.append(f'<polygon class="other" points="{outline([other[n] for n in dimensions])}"/>')
    ends: Any = [[row.get(name + end) for name in dimensions] for end in (LOW, HIGH)]
    if None not in (*ends[0], *ends[1]):
        inner, outer = (outline(values) for values in ends)
        parts.append(f'<path class="band" fill-rule="evenodd" d="M{outer}Z M{inner}Z"/>')
        parts.append(f'<polygon class="own" points="{outline([row[n] for n in dimensions])}"/>')
    else:
        own = outline([row[n] for n in dimensions])
        parts.append(f'<polygon class="own filled" points="{own}"/>')
    parts += [
        f'<text class="ring" x="{MIDDLE + 3}" y="{TOP - reach + 3:.1f}">{value:g}</text>'
        for value, reach in zip(rings, reaches, strict=True)
    ]
    return "".join(parts)


def _scales(
    row: ScoreRow, others: Sequence[ScoreRow], dimensions: Sequence[str], low: float, high: float
) -> str:
    """Return a horizontal scale per dimension with the song's score on it."""

    def across(value: float) -> float:
        return 30 + 300 * (value - low) / (high - low)

    parts = []
    for index, name in enumerate(dimensions):
        down = 80 + 90 * index
        parts.append(f'<text x="30" y="{down - 24}">{escape(name)}</text>')
        parts.append(f'<line class="grid" x1="30" y1="{down}" x2="330" y2="{down}"/>')
        ends = row.get(name + LOW), row.get(name + HIGH)
        if ends[0] is not None and ends[1] is not None:
            width = across(ends[1]) - across(ends[0])
            parts.append(
                f'<rect class="band" x="{across(ends[0]):.1f}" y="{down - 7}" '
                f'width="{width:.1f}" height="14"/>'
            )
        parts += [
            f'<circle class="other" cx="{across(other[name]):.1f}" cy="{down}" r="4"/>'
            for other in others
        ]
        parts.append(f'<circle class="dot" cx="{across(row[name]):.1f}" cy="{down}" r="7"/>')
        for value, anchor in ((low, "start"), (high, "end")):
            at = f'x="{across(value):.0f}" y="{down + 24}" text-anchor="{anchor}"'
            parts.append(f'<text class="ring" {at}>{value:g}</text>')
    return "".join(parts)


def song_view(song: Song, dimensions: Sequence[str]) -> str:
    """Return a song: player, waveform, scores over time and contributions on one time axis.

    Args:
        song: The song.
        dimensions: Columns to draw, of the first head.
    """
    row, seconds = song.row, float(song.row["duration"])
    windows = [w for w in row.get("timeline") or [] if w.get(dimensions[0]) is not None]
    parts = [w for w in row.get("explain") or [] if w.get(dimensions[0]) is not None]
    ends = [row.get(name + end) for name in dimensions for end in (LOW, HIGH)]
    curves = [window[name] for window in windows for name in dimensions]
    reached = [*(row[name] for name in dimensions), *ends, *curves]
    low, high = axis_limits(np.array(reached, dtype=float))  # None becomes NaN
    most = max((abs(w[name]) for w in parts for name in dimensions), default=0.0)
    tracks = [_track("Waveform", "", _waveform(song.waveform), kind="ha-waveform")]
    for name in dimensions:
        interval = _interval(row, name)
        label = f"<b>{row[name]:.2f}</b>{interval}"
        plot = _curve(row, name, windows, seconds, low, high)
        scale = f'<span class="ha-scale"><i>{high:g}</i><i>{low:g}</i></span>'
        cells = "".join(_cell(w, name, seconds, most) for w in parts)
        strip = f'<div class="ha-strip">{cells}</div>' if cells else ""
        tracks.append(_track(name, label, plot + scale + strip))
    marks = "".join(
        f'<i style="left: {100 * at / seconds:.2f}%">{clock(at)}</i>' for at in _marks(seconds)
    )
    return f"""
<section class="ha-song" data-song="{escape(song.song_id)}" aria-labelledby="ha-song-name">
<h2 id="ha-song-name">{name_html(song.name)}</h2>
<audio controls preload="metadata" data-song="{escape(song.song_id)}"
  aria-label="Play {escape(song.name)}"></audio>
<p class="ha-fault" role="status"></p>
<div class="ha-tracks" data-seconds="{seconds:.3f}">
{"".join(tracks)}
<div class="ha-axis" aria-hidden="true">{marks}</div>
<div class="ha-cursor" aria-hidden="true"></div>
</div>
<p class="ha-note">{_legend(windows, parts, ends)}</p>
{_numbers(windows, parts, dimensions)}
</section>"""


def clock(seconds: float) -> str:
    """Return minutes and seconds.

    >>> clock(83.2)
    '1:23'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _marks(seconds: float) -> list[float]:
    step = next((step for step in STEPS if seconds / step <= MOST_MARKS), STEPS[-1])
    return [float(at) for at in range(0, int(seconds) + 1, step)]


def _interval(row: ScoreRow, name: str) -> str:
    low, high = row.get(name + LOW), row.get(name + HIGH)
    return "" if low is None or high is None else f" <small>{low:.2f} to {high:.2f}</small>"


def _track(name: str, label: str, plot: str, *, kind: str = "") -> str:
    return (
        f'<div class="ha-track {kind}"><div class="ha-label">{escape(name)} {label}</div>'
        f'<div class="ha-plot">{plot}</div></div>'
    )


def _waveform(waveform: np.ndarray) -> str:
    """Return the waveform in relation to its own peak; silence is a line."""
    scale = max(float(np.abs(waveform).max()), 1e-4)
    across = np.linspace(0, 1000, waveform.shape[1])
    upper = [f"{x:.1f},{50 - 48 * y / scale:.1f}" for x, y in zip(across, waveform[1], strict=True)]
    lower = [f"{x:.1f},{50 - 48 * y / scale:.1f}" for x, y in zip(across, waveform[0], strict=True)]
    return f'<svg {PLOT}><polygon points="{" ".join(upper + lower[::-1])}"/></svg>'


def _curve(
    row: ScoreRow, name: str, windows: Sequence[ScoreRow], seconds: float, low: float, high: float
) -> str:
    """Return a dimension: the interval of the whole song, a bar per window, a line through them."""

    def down(value: float) -> float:
        return 96 - 92 * (value - low) / (high - low)

    def across(second: float) -> float:
        return 1000 * second / seconds

    parts = []
    bottom, top = row.get(name + LOW), row.get(name + HIGH)
    if bottom is not None and top is not None:
        height = down(bottom) - down(top)
        parts.append(
            f'<rect class="band" x="0" y="{down(top):.1f}" width="1000" height="{height:.1f}"/>'
        )
    whole = down(row[name])
    parts.append(f'<line class="whole" x1="0" y1="{whole:.1f}" x2="1000" y2="{whole:.1f}"/>')
    middles = []
    for window in windows:
        y = down(window[name])
        begin, end = across(window["start"]), across(min(window["end"], seconds))
        parts.append(
            f'<line class="bar" x1="{begin:.1f}" y1="{y:.1f}" x2="{end:.1f}" y2="{y:.1f}"/>'
        )
        middles.append(f"{(begin + end) / 2:.1f},{y:.1f}")
    if len(middles) > 1:
        parts.append(f'<polyline class="curve" points="{" ".join(middles)}"/>')
    return f"<svg {PLOT}>{''.join(parts)}</svg>"


def _cell(window: ScoreRow, name: str, seconds: float, most: float) -> str:
    """Return the cell of a stretch, coloured by what it adds to the score."""
    gain = -window[name]  # the score with it, less the score without it
    strength = abs(gain) / most if most > 0 else 0.0
    kind = "none" if abs(gain) < NOTICEABLE else ("up" if gain > 0 else "down")
    left, width = 100 * window["start"] / seconds, 100 * (window["end"] - window["start"]) / seconds
    span = f"{clock(window['start'])} to {clock(window['end'])}"
    return (
        f'<i class="{kind}" style="left: {left:.2f}%; width: {width:.2f}%; '
        f'--strength: {strength:.2f}" title="{escape(name)}, {span}: {gain:+.2f}"></i>'
    )


def _legend(windows: Sequence[ScoreRow], parts: Sequence[ScoreRow], ends: Sequence[object]) -> str:
    said = []
    if len(windows) > 1:
        said.append("Bars: scores of windows of 30 s; the line joins their middles.")
    elif windows:
        said.append("The song is no longer than one window of 30 s, so that it has one score.")
    said.append("Dashed: the score of the whole song.")
    if None not in ends:
        said.append("Band: its interval.")
    if parts:
        said.append("Strips: what each 10 s adds to the score (blue) or takes from it (orange).")
    return " ".join(said)


def _numbers(
    windows: Sequence[ScoreRow], parts: Sequence[ScoreRow], dimensions: Sequence[str]
) -> str:
    """Return the numbers of the curves and strips as tables that can be opened."""
    tables = [
        _table("Scores of windows of 30 s", windows, dimensions, 1, ""),
        _table("What each 10 s adds to the score", parts, dimensions, -1, "+"),
    ]
    shown = "".join(table for table in tables if table)
    return f'<details class="ha-numbers"><summary>As numbers</summary>{shown}</details>'


def _table(
    caption: str, windows: Sequence[ScoreRow], dimensions: Sequence[str], factor: int, sign: str
) -> str:
    if not windows:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("Time", *dimensions))
    lines = []
    for window in windows:
        span = f"{clock(window['start'])} to {clock(window['end'])}"
        cells = "".join(f"<td>{factor * window[name]:{sign}.2f}</td>" for name in dimensions)
        lines.append(f'<tr><th scope="row">{span}</th>{cells}</tr>')
    return (
        f'<div class="ha-scroll" tabindex="0" role="region" aria-label="{caption}">'
        f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )
