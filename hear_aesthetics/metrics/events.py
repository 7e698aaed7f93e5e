"""Event scores: counts per file, pooled over files before the ratio.

Onset F-measures match events of one label one to one, as many as possible; the segment error rate
compares the labels present in each second. Counts per file, ``(files, 3)`` or ``(files, 2)``, make
leaving files out one matrix product. Definitions: Mesaros, Heittola & Virtanen, "Metrics for
Polyphonic Sound Event Detection" (2016), as sed_eval computes them; collars and segments in
seconds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hear_aesthetics.metrics.intervals import Array

__all__ = ["Events", "OnsetFMeasure", "SegmentErrorRate"]

_MS = 1000.0
_CELL_BITS = 20  # labels per segment and segments per file fit in this many bits


@dataclass(frozen=True)
class Events:
    """Events of several files, ordered by file, start and label.

    Shape:
        - file, label: ``(events,)`` indices; start, end: ``(events,)`` ms
    """

    file: NDArray[np.int64]
    label: NDArray[np.int64]
    start: NDArray[np.float64]
    end: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, float, float]]) -> "Events":
        """Return events from ``(file, label, start, end)`` rows, sorted."""
        file, label, start, end = np.array(list(rows), dtype=np.float64).reshape(-1, 4).T
        return cls(file.astype(np.int64), label.astype(np.int64), start, end).sorted()

    def sorted(self) -> "Events":
        """Return the events sorted by file, start and label."""
        return self._at(np.lexsort((self.label, self.start, self.file)))

    def lasting(self, min_duration: float) -> "Events":
        """Return the events of at least so many ms, in the same order."""
        return self._at(self.end - self.start >= min_duration)

    def _at(self, index: NDArray[Any]) -> "Events":
        return Events(self.file[index], self.label[index], self.start[index], self.end[index])

    def as_dicts(
        self, files: Sequence[str], labels: Sequence[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """Return a split file's ``{file: [{"label", "start", "end"}, ...]}``, with every file."""
        events: dict[str, list[dict[str, Any]]] = {name: [] for name in files}
        columns = (self.file.tolist(), self.label.tolist(), self.start.tolist(), self.end.tolist())
        for file, label, start, end in zip(*columns, strict=True):
            events[files[file]].append({"label": labels[label], "start": start, "end": end})
        return events


@dataclass(frozen=True)
class OnsetFMeasure:
    """F-measure, precision and recall of events whose onsets (and offsets) agree.

    Args:
        collar: Largest difference of two matched onsets, seconds.
        offset_share: If given, offsets may differ by at most the larger of the collar and this
            share of the reference event's length.
    """

    collar: float
    offset_share: float | None = None

    def counts(self, predicted: Events, target: Events, files: int) -> Array:
        """Return matched, predicted and reference events of every file, ``(files, 3)``."""
        matched = target.file[self._matched(predicted, target)]
        sources = (matched, predicted.file, target.file)
        return np.stack([np.bincount(s, minlength=files) for s in sources], axis=1).astype(float)

    def values(self, totals: Array) -> dict[str, Array]:
        """Return scores of pooled counts ``(..., 3)``; NaN without events, 0 without a match."""
        matched, predicted, reference = np.moveaxis(totals, -1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            precision, recall = matched / predicted, matched / reference
            f_measure = 2 * precision * recall / (precision + recall)
        defined = (predicted > 0) & (reference > 0)
        f_measure = np.where(defined & (matched == 0), 0.0, f_measure)
        return {"f_measure": f_measure, "precision": precision, "recall": recall}

    def _matched(self, predicted: Events, target: Events) -> NDArray[np.int64]:
        """Return the reference events with a partner in a maximum matching."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import maximum_bipartite_matching

        reference, estimate = self._pairs(predicted, target)
        if not len(reference):
            return reference
        shape = (len(target.file), len(predicted.file))
        pairs = (reference.astype(np.int32), estimate.astype(np.int32))  # SciPy < 1.15 needs them
        graph = csr_array((np.ones(len(reference), dtype=np.int8), pairs), shape)
        return np.nonzero(maximum_bipartite_matching(graph, perm_type="column") >= 0)[0]

    def _pairs(
        self, predicted: Events, target: Events
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return indices of every reference and estimated event that may be matched."""
        onset, end = predicted.start / _MS, predicted.end / _MS
        true_onset, true_end = target.start / _MS, target.end / _MS
        base, true_base = self._bases(predicted, target)
        order = np.argsort(base + onset, kind="stable")
        keys, true_keys = (base + onset)[order], true_base + true_onset
        # a little wider than the exact test below, since the sums are rounded
        reach = self.collar + 4 * np.spacing(max(1.0, *map(_largest, (keys, true_keys))))
        first = np.searchsorted(keys, true_keys - reach)
        last = np.searchsorted(keys, true_keys + reach, side="right")
        count = last - first
        reference = np.repeat(np.arange(len(count)), count)
        position = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        estimate = order[np.repeat(first, count) + position]
        hit = np.abs(true_onset[reference] - onset[estimate]) <= self.collar
        if self.offset_share is not None:
            allowed = np.maximum(self.collar, self.offset_share * (true_end - true_onset))
            hit &= np.abs(true_end[reference] - end[estimate]) <= allowed[reference]
        return reference[hit], estimate[hit]

    def _bases(self, predicted: Events, target: Events) -> tuple[Array, Array]:
        """Return a time shift per event that keeps different files and labels out of reach."""
        both = (predicted, target)
        labels = 1 + max(int(_largest(e.label)) for e in both)
        latest = max(_largest(np.abs(e.start)) for e in both) / _MS
        step = 4 * (latest + self.collar + 1)
        bases = [step * (e.file * labels + e.label).astype(np.float64) for e in both]
        return bases[0], bases[1]


def _largest(values: NDArray[Any]) -> float:
    return float(values.max(initial=0))


@dataclass(frozen=True)
class SegmentErrorRate:
    """Substitutions, deletions and insertions of labels per segment, over the reference labels.

    A file's segments reach to the last offset of reference or estimate. An event occupies the
    segments from ``floor(onset)`` to ``ceil(offset)``; one that starts before 0 occupies none, as
    in sed_eval.
    """

    seconds: float = 1.0

    def counts(self, predicted: Events, target: Events, files: int) -> Array:
        """Return errors and reference labels of every file, ``(files, 2)``."""
        reference, estimate = self._cells(target), self._cells(predicted)
        correct = np.intersect1d(reference, estimate, assume_unique=True)
        segments = np.unique(np.concatenate([reference, estimate]) >> _CELL_BITS)
        in_reference, in_estimate, true_positive = (
            np.bincount(np.searchsorted(segments, c >> _CELL_BITS), minlength=len(segments))
            for c in (reference, estimate, correct)
        )
        # substitutions + deletions + insertions: min - tp, max(0, ref - sys), max(0, sys - ref)
        errors = np.maximum(in_reference, in_estimate) - true_positive
        file = segments >> _CELL_BITS
        columns = [np.bincount(file, w, minlength=files) for w in (errors, in_reference)]
        return np.stack(columns, axis=1)

    def values(self, totals: Array) -> dict[str, Array]:
        """Return the rate of pooled counts ``(..., 2)``; huge, or 0, without a reference event."""
        return {"error_rate": np.asarray(totals[..., 0] / (totals[..., 1] + np.spacing(1)))}

    def _cells(self, events: Events) -> NDArray[np.int64]:
        """Return the distinct (file, segment, label) of the events, one number each, sorted."""
        first = np.floor(events.start / _MS / self.seconds).astype(np.int64)
        count = np.ceil(events.end / _MS / self.seconds).astype(np.int64) - first
        count[first < 0] = 0
        event = np.repeat(np.arange(len(count)), count)
        segment = first[event] + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        file_segment = (events.file[event] << _CELL_BITS) + segment
        return np.unique((file_segment << _CELL_BITS) + events.label[event])
