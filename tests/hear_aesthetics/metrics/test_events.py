"""Event scores equal the golden values and exhaustive matching."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from hear_aesthetics.evaluation.tasks.event_postprocessing import Timeline
from hear_aesthetics.evaluation.tasks.scores import make_scores
from hear_aesthetics.metrics.events import Events, OnsetFMeasure, SegmentErrorRate

EMPTY = Events.of([])


def best_matching(predicted, target, fits):
    """Size of the largest one-to-one matching, by trying all."""
    pairs = [(p, t) for p in predicted for t in target if fits(p, t)]
    for size in range(min(len(predicted), len(target)), 0, -1):
        for chosen in itertools.combinations(pairs, size):
            if len({p for p, _ in chosen}) == len({t for _, t in chosen}) == size:
                return size
    return 0


@pytest.mark.parametrize("offset_share", [None, 0.2])
def test_matching_is_the_largest_possible(offset_share):
    generator = np.random.default_rng(8)
    measure = OnsetFMeasure(0.2, offset_share)

    def draw(n):
        starts = generator.uniform(0, 1500, n)
        ends = starts + generator.uniform(50, 900, n)
        return list(zip([0] * n, generator.integers(2, size=n).tolist(), starts, ends, strict=True))

    def fits(p, t):
        close = p[1] == t[1] and abs(p[2] / 1e3 - t[2] / 1e3) <= 0.2
        if offset_share is None:
            return close
        allowed = max(0.2, offset_share * (t[3] - t[2]) / 1e3)
        return close and abs(p[3] / 1e3 - t[3] / 1e3) <= allowed

    matched = 0
    for _ in range(30):
        predicted, target = draw(5), draw(5)
        expected = best_matching(predicted, target, fits)
        counts = measure.counts(Events.of(predicted), Events.of(target), 1)
        np.testing.assert_array_equal(counts, [[expected, 5, 5]])
        matched += expected
    assert matched > 20


def test_events_of_other_files_and_labels_never_match():
    measure = OnsetFMeasure(0.2)
    predicted = Events.of([(0, 0, 0, 9), (1, 1, 0, 9), (2, 0, 1e7, 1e7)])
    target = Events.of([(1, 0, 0, 9), (0, 1, 0, 9), (2, 0, 1e7 + 199, 1e7 + 300)])
    np.testing.assert_array_equal(
        measure.counts(predicted, target, 3), [[0, 1, 1], [0, 1, 1], [1, 1, 1]]
    )


@pytest.mark.parametrize(
    ("predicted", "target", "expected"),
    [
        (EMPTY, EMPTY, (np.nan, np.nan, np.nan)),
        (EMPTY, Events.of([(0, 0, 0, 9)]), (np.nan, np.nan, 0)),
        (Events.of([(0, 0, 0, 9)]), EMPTY, (np.nan, 0, np.nan)),
        (Events.of([(0, 0, 0, 9)]), Events.of([(0, 1, 0, 9)]), (0, 0, 0)),
    ],
)
def test_f_measure_is_nan_without_events_and_zero_without_match(predicted, target, expected):
    measure = OnsetFMeasure(0.2)
    values = measure.values(measure.counts(predicted, target, 1).sum(0))
    np.testing.assert_array_equal([float(v) for v in values.values()], expected)
    assert list(values) == ["f_measure", "precision", "recall"]


def test_error_rate_counts_substitution_deletion_and_insertion_per_second():
    target = Events.of([(0, 0, 200, 1800), (0, 1, 2100, 2200), (1, 0, 0, 900)])
    predicted = Events.of([(0, 2, 300, 900), (0, 1, 2000, 3900)])
    # file 0: substitution, deletion, hit, insertion; file 1: deletion
    rate = SegmentErrorRate()
    counts = rate.counts(predicted, target, 2)
    np.testing.assert_array_equal(counts, [[3, 3], [1, 1]])
    assert float(rate.values(counts.sum(0))["error_rate"]) == 1
    assert rate.values(rate.counts(predicted, EMPTY, 1).sum(0))["error_rate"] > 1e15
    assert rate.values(rate.counts(EMPTY, EMPTY, 1).sum(0))["error_rate"] == 0
    early = Events.of([(0, 0, -20, 900)])
    np.testing.assert_array_equal(rate.counts(early, EMPTY, 1), [[0, 0]])


def test_resampling_files_equals_scoring_the_repeated_files():
    target = Events.of([(f, f % 2, 100 * f, 100 * f + 500) for f in range(4)])
    predicted = Events.of([(f, 0, 100 * f + 20, 100 * f + 700) for f in range(4)])
    weights = np.array([[2.0, 0, 1, 1]])
    files = [0, 0, 2, 3]

    def repeated(events):
        columns = (events.file, events.label, events.start, events.end)
        rows = list(zip(*columns, strict=True))
        return Events.of((i, *row[1:]) for i, f in enumerate(files) for row in rows if row[0] == f)

    for score in make_scores(["event_onset_200ms_fms", "segment_1s_er"]):
        expected = next(iter(score.values(repeated(predicted), repeated(target)).values()))
        np.testing.assert_allclose(score.resampled(predicted, target, weights), [expected])


@pytest.mark.parity
def test_event_scores_equal_the_golden_ones(golden):
    folder = golden / "hear_scores"
    tensors = load_file(folder / "events.safetensors")
    for path in sorted(folder.glob("events_*.json")):
        tag = path.stem.removeprefix("events_")
        content = json.loads(path.read_text())
        runs = content["filenames_per_frame_runs"]
        names = [Path(path).name for path, n in runs for _ in range(n)]
        timeline = Timeline(names, tensors[f"{tag}.timestamps_ms"])
        target = timeline.targets(content["target_events"], content["labels"].__getitem__)
        for case in content["expected"]:
            events = timeline.decode(tensors[f"{tag}.predictions"], **case["postprocessing"])
            for score in make_scores(list(case["scores"])):
                assert score.values(events, target) == pytest.approx(
                    case["scores"][score.name], abs=1e-6
                )
