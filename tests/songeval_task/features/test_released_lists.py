import os
import pickle

import numpy as np
import pytest
import torch

from hear_aesthetics.errors import InputError
from songeval_task.data.preparation import Choices
from songeval_task.data.prepared import read_prepared
from songeval_task.dimensions import DIMENSIONS
from songeval_task.features.import_lists import import_arrays, read_lists, write_table
from songeval_task.features.released_lists import (
    export_bytes,
    export_interchange,
    read_array,
    read_rows,
)
from songeval_task.features.store import Entry, FeatureStore

NAMES = [dimension.name for dimension in DIMENSIONS]
SCORES = dict(zip(NAMES, (1.5, 2.25, 3.0, 4.5, 5.0), strict=True))
DIM = 8


def write_array(path, frames=3, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).standard_normal((1, frames, DIM)).astype(np.float32)
    np.save(path, array)
    return array


def write_list(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(list(rows)))
    return path


@pytest.fixture
def released(tmp_path):
    """Released lists: twelve training songs, each with two augmented versions, and two others."""
    for split, numbers in {"train": range(12), "test": range(12, 14)}.items():
        rows = []
        for number in numbers:
            scores = {name: 1.0 + (number + i) % 5 for i, name in enumerate(NAMES)}
            for suffix in ("", "_aug1", "_aug2") if split == "train" else ("",):
                path = tmp_path / f"released/{number}{suffix}.npy"
                write_array(path, frames=2 + number, seed=len(rows))
                rows.append({**scores, "npy_path": str(path)})
        write_list(tmp_path / f"released/{split}_set.pkl", *rows)
    return tmp_path / "released"


def test_rows_are_songs_and_versions_with_their_labels(tmp_path):
    for name in ("12.npy", "12_aug3.npy", "a_b.npy"):
        write_array(tmp_path / name)
    numbers = {name: np.float32(value) for name, value in SCORES.items()}
    path = write_list(
        tmp_path / "train_set.pkl",
        {**SCORES, "npy_path": str(tmp_path / "12.npy"), "id": 12},
        {**numbers, "npy_path": "elsewhere/12_aug3.npy"},
        {**SCORES, "npy_path": "a_b.npy"},
        {**SCORES, "npy_path": "a_b.npy"},
    )
    rows = read_rows(path)
    assert [(row.song, row.version) for row in rows] == [
        ("mp3/12.mp3", "original"),
        ("mp3/12.mp3", "aug3"),
        ("mp3/a_b.mp3", "original"),
    ]
    assert {row.labels for row in rows} == {tuple(SCORES.values())}
    assert rows[1].array == tmp_path / "12_aug3.npy"


class Attack:
    def __reduce__(self):
        return os.mkdir, ("was_here",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_names_code_is_refused_and_runs_nothing(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "train_set.pkl"
    path.write_bytes(pickle.dumps([{**SCORES, "npy_path": Attack()}], protocol=protocol))
    with pytest.raises(InputError, match=r"it names \w+\.mkdir, which is neither"):
        read_rows(path)
    assert not (tmp_path / "was_here").exists()


@pytest.mark.parametrize("value", [eval, np.ones, type, np.ones(2)])
def test_other_values_are_refused(tmp_path, value):
    path = write_list(tmp_path / "train_set.pkl", {**SCORES, "npy_path": "x.npy", "more": value})
    with pytest.raises(InputError, match=r"not a released list \(it names"):
        read_rows(path)


def without(name):
    return {key: value for key, value in SCORES.items() if key != name}


BAD = [
    (b"nonsense", "not a released list"),
    (b"", "not a released list"),
    (pickle.dumps({"a": 1}), "holds a dict; expected a list"),
    (pickle.dumps([]), "an empty list"),
    (pickle.dumps([3]), "row 0 has no npy_path"),
    (pickle.dumps([SCORES]), "row 0 has no npy_path"),
    (pickle.dumps([{**without("Clarity"), "npy_path": "1.npy"}]), "no number for Clarity"),
    (pickle.dumps([{**SCORES, "Clarity": 7.5, "npy_path": "1.npy"}]), "Clarity 7.5 is outside"),
    (pickle.dumps([{**SCORES, "Clarity": np.nan, "npy_path": "1.npy"}]), "Clarity nan is"),
    (pickle.dumps([{**SCORES, "npy_path": "2.npy"}]), "2.npy is neither there nor beside"),
]


@pytest.mark.parametrize(("content", "message"), BAD)
def test_a_list_that_cannot_be_used_says_why_in_one_line(tmp_path, content, message):
    write_array(tmp_path / "1.npy")
    path = tmp_path / "train_set.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_rows(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "array",
    [
        np.ones((1, 3, 4)),
        np.ones((2, 3, 4), np.float32),
        np.ones((3,), np.float32),
        np.ones((1, 0, 4), np.float32),
        np.array([{}]),
    ],
)
def test_an_array_of_another_kind_is_refused(tmp_path, array):
    np.save(tmp_path / "1.npy", array)
    with pytest.raises(InputError, match=r"1\.npy: "):
        read_array(tmp_path / "1.npy")


def test_an_array_without_its_first_axis_is_the_same_features(tmp_path):
    array = write_array(tmp_path / "1.npy")
    np.save(tmp_path / "2.npy", array[0])
    assert torch.equal(read_array(tmp_path / "2.npy")[0], read_array(tmp_path / "1.npy")[0])


def imported(released, out):
    lists = read_lists(released / "train_set.pkl", released / "test_set.pkl")
    entries = list(import_arrays(lists, out / "features"))
    return write_table(lists, entries, out, Choices(valid_fraction=0.25))


def test_lists_become_a_prepared_set_and_a_store(released, tmp_path):
    prepared = imported(released, tmp_path / "out")
    assert read_prepared(tmp_path / "out").songs == prepared.songs
    assert prepared.about["songs"] == {"train": 9, "valid": 3, "test": 2}
    assert [song.name for song in prepared.split("test")] == ["mp3/12.mp3", "mp3/13.mp3"]
    store = FeatureStore(tmp_path / "out/features")
    assert len(store.index()) == 38
    (fused,) = store.load("mp3/3.mp3", "aug2")
    expected = torch.from_numpy(np.load(released / "3_aug2.npy")[0])
    torch.testing.assert_close(fused, expected.half())
    assert prepared.songs[3].seconds == pytest.approx(5 / 25)


def test_an_import_that_was_interrupted_goes_on(released, tmp_path):
    lists = read_lists(released / "train_set.pkl", None)
    begun = import_arrays(lists, tmp_path / "store")
    entry = next(begun)
    begun.close()
    path = FeatureStore(tmp_path / "store").path(entry.song, entry.version)
    kept = path.stat().st_mtime_ns
    assert len(list(import_arrays(lists, tmp_path / "store"))) == 36
    assert path.stat().st_mtime_ns == kept


def test_what_is_exported_is_imported_again_the_same(released, tmp_path):
    prepared = imported(released, tmp_path / "out")
    store = FeatureStore(tmp_path / "out/features")
    written = list(export_interchange(prepared, store, tmp_path / "again"))
    assert len(written) == 38
    taken = sum(path.stat().st_size - 128 for path in written)  # the header of an .npy file
    assert taken == export_bytes(prepared, store)
    array = np.load(tmp_path / "again/npy/3_aug2.npy")
    assert array.shape == (1, 5, DIM)
    assert array.dtype == np.float32
    rows = pickle.loads((tmp_path / "again/train_set.pkl").read_bytes())
    assert list(rows[0]) == [*NAMES, "npy_path"]
    assert len({id(row) for row in rows}) == len(rows) == 27
    lists = read_lists(tmp_path / "again/train_set.pkl", tmp_path / "again/test_set.pkl")
    list(import_arrays(lists, tmp_path / "store"))
    for entry in FeatureStore(tmp_path / "store").entries():
        first, second = (
            s.load(entry.song, entry.version)[0] for s in (store, FeatureStore(tmp_path / "store"))
        )
        assert torch.equal(first, second)


def test_a_song_in_both_lists_is_refused(released):
    with pytest.raises(InputError, match=r"mp3/0\.mp3 is in .*; take it out of one"):
        read_lists(released / "train_set.pkl", released / "train_set.pkl")


def test_versions_with_different_scores_are_refused(tmp_path):
    write_array(tmp_path / "1.npy")
    write_array(tmp_path / "1_aug1.npy")
    path = write_list(
        tmp_path / "train_set.pkl",
        {**SCORES, "npy_path": "1.npy"},
        {**SCORES, "Clarity": 1.0, "npy_path": "1_aug1.npy"},
    )
    lists = read_lists(path, None)
    with pytest.raises(InputError, match=r"1_aug1\.npy: other scores than another version"):
        write_table(lists, [], tmp_path / "out", Choices())


def test_songs_that_would_share_an_array_are_refused(prepared, tmp_path):
    songs = read_prepared(prepared)
    store = FeatureStore.create(tmp_path / "store", {})
    one, two = songs.songs[0], songs.songs[1]
    renamed = type(two)(**{**vars(two), "name": "other/0.mp3"})
    for song in (one, renamed):
        store.write(Entry(song.name, "original", "", 1, "x"), {"fused": torch.zeros(1, DIM)})
    changed = type(songs)(songs.folder, songs.root, (one, renamed), songs.about)
    with pytest.raises(InputError, match=r"other/0\.mp3: would share 0\.npy with mp3/0\.mp3"):
        list(export_interchange(changed, store, tmp_path / "out"))
    with pytest.raises(InputError, match="has no features of these songs"):
        export_bytes(songs, FeatureStore.create(tmp_path / "empty", {}))
