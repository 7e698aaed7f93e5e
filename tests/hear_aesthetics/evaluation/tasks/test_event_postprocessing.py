"""Decoded events equal the golden ones and a plain scipy decoder, whatever the row order."""

import json
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.ndimage import median_filter

from hear_aesthetics.evaluation.tasks import event_postprocessing
from hear_aesthetics.evaluation.tasks.event_postprocessing import Timeline, postprocessing_grid
from hear_aesthetics.metrics.events import Events


def plain_decode(predictions, times, median_filter_ms, min_duration):
    """Rows (label, start, end) of one file, step by step as the definition reads."""
    width = round(median_filter_ms / float(np.mean(np.diff(times))))
    if width:
        predictions = median_filter(predictions, size=(width, 1))
    rows = []
    for label, column in enumerate((predictions > 0.5).T):
        frames = np.nonzero(column)[0]
        for _, group in groupby(enumerate(frames.tolist()), key=lambda pair: pair[1] - pair[0]):
            run = [frame for _, frame in group]
            if times[run[-1]] - times[run[0]] >= min_duration:
                rows.append((label, times[run[0]], times[run[-1]]))
    return sorted(rows, key=lambda row: (row[1], row[0]))


def rows_of(events, file):
    keep = events.file == file
    columns = (events.label, events.start, events.end)
    return list(zip(*(column[keep].tolist() for column in columns), strict=True))


@pytest.mark.parametrize("median_filter_ms", [0, 20, 50, 60, 250, 333, 5000])
@pytest.mark.parametrize("min_duration", [0, 125])
def test_decoding_equals_filtering_file_by_file(median_filter_ms, min_duration):
    generator = np.random.default_rng(3)
    hops, lengths = (50.0, 40.0, 50.0), (60, 17, 5)
    names = [f"/embeddings/{i}.wav" for i, n in enumerate(lengths) for _ in range(n)]
    times = np.concatenate([h * np.arange(n) for h, n in zip(hops, lengths, strict=True)])
    # a slow random walk, so that events have a length
    walk = generator.normal(size=(len(times), 6)).cumsum(0) / 2
    predictions = (1 / (1 + np.exp(-walk))).astype(np.float32)
    shuffled = generator.permutation(len(times))
    timeline = Timeline([names[i] for i in shuffled], times[shuffled])
    events = timeline.decode(
        predictions[shuffled], median_filter_ms=median_filter_ms, min_duration=min_duration
    )
    assert len(events.file) > 0 or median_filter_ms == 5000
    for name in timeline.files:
        rows = [i for i, other in enumerate(names) if other.endswith(name)]
        expected = plain_decode(predictions[rows], times[rows], median_filter_ms, min_duration)
        assert rows_of(events, timeline.files.index(name)) == expected


def test_an_event_ends_at_its_last_frame_and_files_do_not_touch():
    timeline = Timeline(["a.wav"] * 3 + ["b.wav"] * 3, [0, 50, 100, 0, 50, 100])
    active = np.array([[0.0], [0.6], [0.7], [0.9], [0.4], [0.8]], dtype=np.float32)
    events = timeline.decode(active, median_filter_ms=0, min_duration=0)
    assert rows_of(events, 0) == [(0, 50, 100)]
    assert rows_of(events, 1) == [(0, 0, 0), (0, 100, 100)]


def test_exactly_the_threshold_is_not_active():
    timeline = Timeline(["a.wav"] * 2, [0, 50])
    events = timeline.decode(np.float32([[0.5], [0.5]]), median_filter_ms=0, min_duration=0)
    assert len(events.file) == 0


def test_a_repeated_time_counts_once_with_its_last_row():
    timeline = Timeline(["a.wav"] * 4, [0, 50, 50, 100])
    active = np.float32([[0.9], [0.9], [0.1], [0.9]])
    events = timeline.decode(active, median_filter_ms=0, min_duration=0)
    assert rows_of(events, 0) == [(0, 0, 0), (0, 100, 100)]


def test_a_single_frame_needs_no_hop():
    events = Timeline(["a.wav"], [0.0]).decode(np.float32([[0.9]]), min_duration=0)
    assert rows_of(events, 0) == [(0, 0, 0)]


def test_targets_of_files_without_predictions_do_not_count():
    timeline = Timeline(["a.wav", "a.wav"], [0, 50])
    labels = {
        "missing.wav": [{"label": "p", "start": 0, "end": 1}],
        "a.wav": [{"label": "q", "start": 30, "end": 40}, {"label": "p", "start": 0, "end": 1}],
    }
    events = timeline.targets(labels, ["p", "q"].index)
    assert rows_of(events, 0) == [(0, 0, 1), (1, 30, 40)]
    assert events.as_dicts(timeline.files, ["p", "q"]) == {
        "a.wav": [
            {"label": "p", "start": 0.0, "end": 1.0},
            {"label": "q", "start": 30.0, "end": 40.0},
        ]
    }


def test_no_events_are_a_valid_list():
    assert Events.of([]).as_dicts(["a.wav"], []) == {"a.wav": []}


def test_grid_order_has_sorted_keys_and_the_last_one_fastest():
    grid = postprocessing_grid({"min_duration": (1, 2), "median_filter_ms": (3, 4)})
    assert grid[:2] == [
        (("median_filter_ms", 3), ("min_duration", 1)),
        (("median_filter_ms", 3), ("min_duration", 2)),
    ]
    assert len(grid) == 4


@pytest.mark.parity
def test_events_equal_the_golden_ones(golden):
    folder = golden / "hear_scores"
    tensors = load_file(folder / "events.safetensors")
    paths = sorted(folder.glob("events_*.json"))
    assert paths
    for path in paths:
        tag = path.stem.removeprefix("events_")
        content = json.loads(path.read_text())
        runs = content["filenames_per_frame_runs"]
        names = [Path(path).name for path, n in runs for _ in range(n)]
        timeline = Timeline(names, tensors[f"{tag}.timestamps_ms"])
        labels = sorted(content["labels"], key=content["labels"].get)
        for case in content["expected"]:
            events = timeline.decode(tensors[f"{tag}.predictions"], **case["postprocessing"])
            got = events.as_dicts(timeline.files, labels)
            assert list(got) == list(case["events"])
            for name, expected in case["events"].items():
                assert [e["label"] for e in got[name]] == [e["label"] for e in expected]
                for key in ("start", "end"):
                    np.testing.assert_allclose(
                        [e[key] for e in got[name]], [e[key] for e in expected], atol=1e-3
                    )


def test_filtering_some_labels_at_a_time_changes_nothing(monkeypatch):
    timeline = Timeline(["a"] * 90 + ["b"] * 30, [40.0 * i for i in (*range(90), *range(30))])
    predictions = np.random.default_rng(0).random((120, 7))
    how = {"median_filter_ms": 200, "min_duration": 40}
    whole = timeline.decode(predictions, **how)
    monkeypatch.setattr(event_postprocessing, "_LABELS", 3)
    pieces = timeline.decode(predictions, **how)
    assert len(whole.file) > 50
    assert set(whole.label) == set(range(7))
    for name in ("file", "label", "start", "end"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name))
