"""Effects of variants: how far the scores of songs move, per variant and column.

A change is the score of the variant minus that of the song as it is. Intervals are those of a mean
over songs (:mod:`hear_aesthetics.metrics.intervals`). Ranks are those among the audited songs: all
of them as they are, against all of them in the variant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from hear_aesthetics.metrics.intervals import Array, confidence_interval
from songeval_task.audit.variants import ORIGINAL, Variant
from songeval_task.scoring.rows import OK, ScoreRow

__all__ = ["LIMIT", "RANK_PLACES", "Effect", "describe", "effects_of"]

LIMIT = 0.1  # points; what moves scores by more on average is named, where there is no calibration
RANK_PLACES = 5


@dataclass(frozen=True)
class Effect:
    """Effect of a variant on a column; what cannot be told is None.

    Attributes:
        head: Name of the head.
        column: A dimension, or the mean of the head.
        variant: Name of the variant.
        group: Its group.
        songs: Number of songs that were scored in it.
        change: Mean change.
        low: Lower end of its 95 % interval.
        high: Upper end.
        absolute: Mean absolute change.
        worst_song: Song that moves most.
        worst_change: Its change.
        rank_share: Share of songs whose rank moves by more than 5 places.
        interval_share: Mean absolute change as a share of the calibrated interval's half width.
        loudness: Mean change of the loudness in LU.
        note: Why it was not measured, for some songs or for all.
    """

    head: str
    column: str
    variant: str
    group: str
    songs: int
    change: float | None = None
    low: float | None = None
    high: float | None = None
    absolute: float | None = None
    worst_song: str | None = None
    worst_change: float | None = None
    rank_share: float | None = None
    interval_share: float | None = None
    loudness: float | None = None
    note: str | None = None

    @property
    def size(self) -> float:
        """Effect in units of what is worth a word: above 1 it is named."""
        if self.interval_share is not None:
            return self.interval_share
        return 0.0 if self.absolute is None else self.absolute / LIMIT


def effects_of(
    rows: Mapping[str, Mapping[str, ScoreRow]],
    variants: Sequence[Variant],
    columns: Mapping[str, Sequence[str]],
    half_widths: Mapping[str, Array] | None = None,
) -> list[Effect]:
    """Return the effects of all variants on all columns, column by column.

    Args:
        rows: Song -> name of the variant -> its row; every song has one as it is.
        variants: Variants, also those that could not be made.
        columns: Head -> its columns.
        half_widths: Column -> half width of each song's calibrated interval, ``(songs,)``.
    """
    found = []
    for head, names in columns.items():
        for column in names:
            widths = (half_widths or {}).get(column)
            found += [_effect(rows, variant, head, column, widths) for variant in variants]
    return found


def _effect(
    rows: Mapping[str, Mapping[str, ScoreRow]],
    variant: Variant,
    head: str,
    column: str,
    half_widths: Array | None,
) -> Effect:
    made = {song: scored[variant.name] for song, scored in rows.items() if variant.name in scored}
    errors = [row["error"] for row in made.values() if row["status"] != OK]
    note = variant.missing if not made else None
    if errors:
        note = f"not measured for {len(errors)} of {len(rows)} songs: {errors[0]}"
    songs = [song for song, row in made.items() if row["status"] == OK]
    known: dict[str, Any] = {"head": head, "column": column, "variant": variant.name}
    known |= {"group": variant.group, "songs": len(songs), "note": note}
    if not songs:
        return Effect(**known)
    before = np.array([rows[song][ORIGINAL.name][column] for song in songs], dtype=np.float64)
    after = np.array([made[song][column] for song in songs], dtype=np.float64)
    change = after - before
    interval = confidence_interval(_mean_change, after, before)
    low, high = (float(e[0]) if np.isfinite(e[0]) else None for e in (interval.low, interval.high))
    worst = int(np.abs(change).argmax())
    share = None
    if half_widths is not None:
        widths = dict(zip(rows, half_widths, strict=True))
        share = float(np.mean(np.abs(change) / [widths[song] for song in songs]))
    return Effect(
        **known,
        change=float(change.mean()),
        low=low,
        high=high,
        absolute=float(np.abs(change).mean()),
        worst_song=songs[worst],
        worst_change=float(change[worst]),
        rank_share=_rank_share(before, after),
        interval_share=share,
        loudness=_mean_loudness([(rows[s][ORIGINAL.name], made[s]) for s in songs]),
    )


def describe(effects: Sequence[Effect]) -> str:
    """Return one sentence on the effects of a head: which variants move a score noticeably."""
    largest: dict[str, Effect] = {}
    for effect in effects:
        if effect.songs and effect.size >= largest.setdefault(effect.variant, effect).size:
            largest[effect.variant] = effect
    moved = sorted((e for e in largest.values() if e.size > 1), key=lambda e: -e.size)
    calibrated = any(effect.interval_share is not None for effect in effects)
    limit = "half of its calibrated interval" if calibrated else f"{LIMIT:g} points"
    songs = max((effect.songs for effect in effects), default=0)
    over = f"a score by more than {limit} on average over {songs} song{'s' * (songs != 1)}"
    if not moved:
        return f"No variant moves {over}."
    named = ", ".join(
        f"{e.variant} ({e.column.removeprefix(f'{e.head}:')} by {e.absolute:.2f})" for e in moved
    )
    verb = "moves" if len(moved) == 1 else "move"
    return f"{len(moved)} of {len(largest)} variants {verb} {over}: {named}."


def _mean_change(preds: Any, target: Any, *, weights: Array | None = None) -> Array:
    change = np.asarray(preds) - np.asarray(target)
    if weights is None:
        return np.atleast_1d(change.mean())
    means: Array = (weights @ change / weights.sum(axis=1))[:, None]
    return means


def _rank_share(before: Array, after: Array) -> float | None:
    """Return the share of songs that move by more places than a few; None for too few songs."""
    if len(before) <= RANK_PLACES + 1:
        return None
    return float(np.mean(np.abs(rankdata(after) - rankdata(before)) > RANK_PLACES))


def _mean_loudness(pairs: Sequence[tuple[ScoreRow, ScoreRow]]) -> float | None:
    levels = [(before["loudness_lufs"], after["loudness_lufs"]) for before, after in pairs]
    changes = [after - before for before, after in levels if None not in (before, after)]
    return float(np.mean(changes)) if changes else None
