"""Event post-processing: median filter, threshold and minimum duration of frame probabilities.

Per file and label, the probabilities are median filtered over time, thresholded, and every run of
active frames becomes an event from its *first to its last* timestamp (not plus one hop), kept if it
lasts ``min_duration``. A median of thresholded values is a count: with ``w`` frames in the window,
the value of rank ``w // 2`` exceeds the threshold exactly if at least ``w - w // 2`` frames do. So
one cumulative sum over all files replaces the filter. Times are in milliseconds.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hear_aesthetics.metrics.events import Events

__all__ = ["DEFAULT_GRID", "MIN_DURATION", "Postprocessing", "Timeline", "postprocessing_grid"]

Postprocessing = tuple[tuple[str, float], ...]
# heareval's grid for a task that names none, and its decoder's options that a grid leaves out
DEFAULT_GRID: Mapping[str, tuple[float, ...]] = {
    "median_filter_ms": (250,),
    "min_duration": (125, 250),
}
MEDIAN_FILTER_MS, MIN_DURATION, THRESHOLD = 150, 60, 0.5
_LABELS = 16  # filtered at once; the counts take more memory than the probabilities


def postprocessing_grid(grid: Mapping[str, Sequence[float]]) -> list[Postprocessing]:
    """Return every combination, keys sorted and the last one fastest."""
    names = sorted(grid)
    values = itertools.product(*(grid[name] for name in names))
    return [tuple(zip(names, point, strict=True)) for point in values]


class Timeline:
    """File and time of every prediction row.

    Rows may come in any order; of two rows of a file with the same time the later one counts. Names
    are those of the split file, times in ms.
    """

    def __init__(self, names: Sequence[str], timestamps: Sequence[float]) -> None:
        index: dict[str, int] = {}
        file = np.array([index.setdefault(n, len(index)) for n in names], dtype=np.int64)
        times = np.asarray(timestamps, dtype=np.float64)
        order = np.lexsort((times, file))  # stable: a repeated time keeps the order of the rows
        last = np.ones(len(order), dtype=bool)
        last[:-1] = (np.diff(file[order]) != 0) | (np.diff(times[order]) != 0)
        self.timestamps = np.asarray(timestamps, dtype=np.float64)  # as given
        self.files = tuple(index)
        self.rows = order[last]
        self.file = file[self.rows]
        self.times = times[self.rows]
        bounds = np.searchsorted(self.file, np.arange(len(self.files) + 1))
        self._spans = list(itertools.pairwise(bounds.tolist()))
        self._first = np.zeros(len(self.rows), dtype=bool)
        self._first[bounds[:-1]] = True
        self._windows: dict[float, _Windows | None] = {}

    def targets(self, split_labels: Mapping[str, list[dict[str, Any]]], label_index: Any) -> Events:
        """Return the reference events of the files on this timeline; others do not count."""
        index = {name: i for i, name in enumerate(self.files)}
        return Events.of(
            (index[name], label_index(event["label"]), event["start"], event["end"])
            for name, events in split_labels.items()
            if name in index
            for event in events
        )

    def decode(
        self,
        predictions: NDArray[np.floating],
        *,
        median_filter_ms: float = MEDIAN_FILTER_MS,
        min_duration: float = MIN_DURATION,
        threshold: float = THRESHOLD,
    ) -> Events:
        """Return the events in frame probabilities ``(rows, labels)``, rows as in the constructor.

        The median filter (0 for none) and the shortest event, from its first to its last frame, are
        in ms; a frame is active above the threshold.
        """
        active = (predictions > threshold)[self.rows]
        windows = self._windows_of(median_filter_ms)
        if windows is not None:
            active = windows.majority(active)
        starts = active.copy()
        starts[1:] &= ~active[:-1] | self._first[1:, None]
        ends = active.copy()
        ends[:-1] &= ~active[1:] | self._first[1:, None]
        label, first = np.nonzero(starts.T)  # by label, then time: starts and ends pair up
        last = np.nonzero(ends.T)[1]
        events = Events(self.file[first], label, self.times[first], self.times[last])
        return events.sorted().lasting(min_duration)

    def _windows_of(self, median_filter_ms: float) -> "_Windows | None":
        if median_filter_ms not in self._windows:
            widths = [
                round(median_filter_ms / float(np.mean(np.diff(self.times[first:end]))))
                if end - first > 1
                else 0
                for first, end in self._spans
            ]
            plan = _Windows(self._spans, widths) if max(widths, default=0) > 1 else None
            self._windows[median_filter_ms] = plan
        return self._windows[median_filter_ms]


class _Windows:
    """Median windows of every frame, as ranges of the padded frames.

    Each file is padded by reflection that repeats the edge frame. The window of frame ``i`` is
    ``i - w // 2 .. i + w - w // 2 - 1``.
    """

    def __init__(self, spans: Sequence[tuple[int, int]], widths: Sequence[int]) -> None:
        padded, low, high, needed = [], [], [], []
        offset = 0
        for (first, end), width in zip(spans, widths, strict=True):
            width = max(width, 1)
            before, after = width // 2, width - width // 2 - 1
            frames = np.arange(first, end)
            padded.append(np.pad(frames, (before, after), mode="symmetric"))
            low.append(offset + np.arange(end - first))
            high.append(low[-1] + width)
            needed.append(np.full(end - first, width - before))
            offset += end - first + width - 1
        self._padded, self._low, self._high = map(np.concatenate, (padded, low, high))
        self._needed = np.concatenate(needed)[:, None]

    def majority(self, active: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return where the median of a frame's window is active, ``(frames, labels)``."""
        found = np.empty_like(active)
        for start in range(0, active.shape[1], _LABELS):
            columns = slice(start, start + _LABELS)
            part = active[:, columns]
            total = np.zeros((len(self._padded) + 1, part.shape[1]), dtype=np.int32)
            np.cumsum(part[self._padded], axis=0, dtype=np.int32, out=total[1:])
            found[:, columns] = total[self._high] - total[self._low] >= self._needed
        return found
