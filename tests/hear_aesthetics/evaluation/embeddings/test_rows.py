"""Embedding folders keep what they are given, and say which file is broken."""

import json
import os
import pickle

import numpy as np
import pytest

from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.embeddings import rows as rows_module
from hear_aesthetics.evaluation.embeddings.rows import (
    embedding_blocks,
    embedding_size,
    read_embeddings,
    read_rows,
    write_rows,
)
from hear_aesthetics.evaluation.tasks.task import load_task

FOLDS = {"splits": ["f0", "f1", "f2"], "split_mode": "new_split_kfold"}


def test_rows_come_back_in_order_split_by_split(make_task):
    folder = make_task()
    blocks = [np.arange(6.0).reshape(2, 3), np.arange(3.0).reshape(1, 3)]
    write_rows(folder, "train", blocks, [["low"], ["high"], ["low"]])
    write_rows(folder, "valid", [np.zeros((1, 3))], [["high"]])
    task = load_task(folder)
    (folder / "test.embedding-dimensions.json").write_text("[0, 3]")
    rows = read_rows(task, ("valid", "train"))
    embeddings = read_embeddings(task, ("valid", "train"))
    expected = np.concatenate([np.zeros((1, 3)), *blocks])
    np.testing.assert_array_equal(embeddings, expected)
    np.testing.assert_array_equal(rows.targets, np.eye(2)[[0, 1, 0, 1]])
    assert (embeddings.dtype, rows.targets.dtype) == (np.float32, bool)
    assert rows.timeline is None


def test_embeddings_come_in_blocks_and_a_fault_is_named_by_its_row(make_embeddings, monkeypatch):
    folder = make_embeddings()
    task = load_task(folder)
    whole = read_embeddings(task, ("train", "valid"))
    monkeypatch.setattr(rows_module, "_BLOCK_VALUES", 30)
    blocks = list(embedding_blocks(task, ("train", "valid")))
    assert max(map(len, blocks)) == 5
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    path = folder / "train.embeddings.npy"
    values = np.fromfile(path, dtype=np.float32)
    values[7 * 6] = np.inf
    values.tofile(path)
    with pytest.raises(TaskError, match="row 7 holds NaN or infinity"):
        list(embedding_blocks(task, ("train",)))


def test_files_are_heareval_s(make_task):
    folder = make_task()
    values = np.float32([[1, 2], [3, 4]])
    write_rows(folder, "train", [values], [["low"], ["high"]], [("train/a.wav", 0.0)] * 2)
    assert json.loads((folder / "train.embedding-dimensions.json").read_text()) == [2, 2]
    raw = np.fromfile(folder / "train.embeddings.npy", dtype=np.float32)
    np.testing.assert_array_equal(raw, [1, 2, 3, 4])
    labels = pickle.loads((folder / "train.target-labels.pkl").read_bytes())
    assert labels == [["low"], ["high"]]
    times = json.loads((folder / "train.filename-timestamps.json").read_text())
    assert times == [["train/a.wav", 0.0]] * 2


def test_event_rows_have_a_timeline_and_their_files_events(make_task, event_labels):
    kind = {"embedding_type": "event", "prediction_type": "multilabel"}
    folder = make_task(split_labels=event_labels, evaluation=["segment_1s_er"], **kind)
    times = [(f"valid/valid_{i}.wav", 40.0 * t) for i in range(2) for t in range(3)]
    listed = [[], ["high"], ["high", "low", "low"]] * 2  # overlapping events of one label repeat it
    write_rows(folder, "valid", [np.zeros((6, 4))], listed, times)
    task = load_task(folder)
    rows = read_rows(task, ("valid",), with_times=True)
    np.testing.assert_array_equal(rows.targets[:3], [[0, 0], [1, 0], [1, 1]])
    assert rows.timeline.files == ("valid_0.wav", "valid_1.wav")
    assert len(rows.events.file) == 4
    assert read_rows(task, ("valid",)).timeline is None


def test_numbers_in_the_pickle_match_labels_of_text(make_task):
    folder = make_task(labels=("060", "061"))
    write_rows(folder, "train", [np.zeros((2, 1))], [[61], ["60"]])
    rows = read_rows(load_task(folder), ("train",))
    np.testing.assert_array_equal(rows.targets, [[0, 1], [1, 0]])


def test_sizes_must_agree_between_splits(make_embeddings):
    folder = make_embeddings()
    task = load_task(folder)
    assert embedding_size(task) == 6
    (folder / "test.embedding-dimensions.json").write_text("[48, 3]")
    with pytest.raises(TaskError, match=r"embedding sizes differ between splits: .*'test': 3"):
        embedding_size(task)


class Trap:
    """A pickle of this would run code."""

    def __reduce__(self):
        return print, ("sprung",)


def nothing(path):
    path.unlink()


def not_finite(path):
    values = np.fromfile(path, dtype=np.float32)
    values[7] = np.nan
    values.tofile(path)


def writes(content):
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("embedding-dimensions.json", writes(b"[24]"), r"holds \[24\]; expected \[rows, dim"),
        ("embeddings.npy", nothing, r"embeddings.npy: missing; compute the embeddings again"),
        ("embeddings.npy", writes(b"1234"), r"1 values, but 24 x 6 in train.embedding-dim"),
        ("embeddings.npy", not_finite, r"row 1 holds NaN or infinity; mend the embedding module"),
        ("target-labels.pkl", nothing, r"target-labels.pkl: missing"),
        ("target-labels.pkl", writes(b"nonsense"), r"not a list of labels"),
        ("target-labels.pkl", writes(b""), r"not a list of labels"),
        ("target-labels.pkl", writes(b"\x80\x04\x8e" + b"\xff" * 8), r"not a list of labels"),
        ("target-labels.pkl", writes(b"\x80\x04h\x05."), r"not a list of labels"),
        ("target-labels.pkl", writes(pickle.dumps(7)), r"not a list of labels"),
        ("target-labels.pkl", writes(pickle.dumps([None] * 24)), r"not a list of labels"),
        ("target-labels.pkl", writes(pickle.dumps([[["low"]]] * 24)), r"not a list of labels"),
        ("embedding-dimensions.json", writes(b"\xff\xfe"), r"dimensions.json: is not UTF-8"),
        ("target-labels.pkl", writes(pickle.dumps(Trap())), r"it names builtins.print"),
        ("target-labels.pkl", writes(pickle.dumps([["low"]])), r"1 label lists for 24"),
        (
            "target-labels.pkl",
            writes(pickle.dumps([["mid"]] * 24)),
            r"row 0: label 'mid' is not known",
        ),
        ("target-labels.pkl", writes(pickle.dumps([[]] * 24)), r"row 0 has 0 labels; expected"),
    ],
)
def test_a_broken_file_is_one_line_with_its_name(make_embeddings, name, damage, message):
    folder = make_embeddings()
    damage(folder / f"train.{name}")
    task = load_task(folder)
    with pytest.raises(TaskError, match=message) as error:
        read_rows(task, ("train",)), read_embeddings(task, ("train",))
    assert "\n" not in str(error.value)
    assert f"train.{name}" in str(error.value)


def test_a_pipe_in_the_place_of_embeddings_is_refused(make_embeddings):
    folder = make_embeddings()
    path = folder / "train.embeddings.npy"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(TaskError, match="not a regular file"):
        read_embeddings(load_task(folder), ("train",))
