from dataclasses import replace

import pandas as pd
import pytest
import torch

from hear_aesthetics.errors import InputError
from songeval_task.features.store import INDEX, Entry, FeatureStore

IDENTITY = {"model": "mini", "dtype": "float16", "about": {"version": "1"}}
ENTRY = Entry("mp3/1.mp3", "aug1", "ab" * 32, 7, "mini", [{"transform": "gain"}], seed=3)


@pytest.fixture
def store(tmp_path):
    return FeatureStore.create(tmp_path / "store", IDENTITY)


def tensors(dtype=torch.float16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        "fused": torch.randn(7, 8, generator=generator).to(dtype),
        "muq_06": torch.randn(7, 2, generator=generator).to(dtype),
    }


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_what_is_written_is_loaded_bit_for_bit(store, dtype):
    made = tensors(dtype)
    store.write(ENTRY, made)
    state, fused = store.load(ENTRY.song, ENTRY.version, ("muq_06", "fused"))
    assert fused.dtype == dtype
    assert torch.equal(fused, made["fused"])
    assert torch.equal(state, made["muq_06"])
    assert store.entry(ENTRY.song, ENTRY.version) == ENTRY


def test_views_are_stored_as_they_are_seen(store):
    wide = torch.arange(28.0).reshape(7, 4)
    store.write(ENTRY, {"fused": wide[:, ::2]})
    assert torch.equal(store.load(ENTRY.song, ENTRY.version)[0], wide[:, ::2])


def test_a_damaged_or_foreign_file_is_as_if_it_were_not_there(store):
    store.write(ENTRY, tensors())
    path = store.path(ENTRY.song, ENTRY.version)
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:40], b""):
        path.write_bytes(content)
        assert store.entry(ENTRY.song, ENTRY.version) is None
        with pytest.raises(InputError, match=r"aug1\.safetensors: .*make the features again"):
            store.load(ENTRY.song, ENTRY.version)
    assert list(store.entries()) == []


def test_a_tensor_that_is_not_there_is_an_error(store):
    store.write(ENTRY, {"fused": torch.zeros(1, 1)})
    with pytest.raises(InputError, match="muq_06"):
        store.load(ENTRY.song, ENTRY.version, ("muq_06",))


def test_a_write_that_fails_leaves_the_old_file(store, monkeypatch):
    store.write(ENTRY, tensors())
    monkeypatch.setattr("songeval_task.features.store.save", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.write(ENTRY, tensors(seed=1))
    assert torch.equal(store.load(ENTRY.song, ENTRY.version)[0], tensors()["fused"])
    assert len(list(store.root.rglob("*aug1*"))) == 1


def test_the_index_is_a_table_of_all_files(store):
    with pytest.raises(InputError, match="to its end"):
        store.index()
    entries = [ENTRY, replace(ENTRY, version="original", augmentation=[], seed=0)]
    for entry in entries:
        store.write(entry, tensors())
    store.write_index(store.entries())
    table = store.index()
    assert list(table["version"]) == ["aug1", "original"]
    assert list(table["frames"]) == [7, 7]
    assert list(table["augmentation"]) == ['[{"transform": "gain"}]', "[]"]
    assert all((store.root / path).is_file() for path in table["path"])


def test_a_store_holds_the_features_of_one_origin(store):
    again = FeatureStore.create(store.root, IDENTITY, {"version": "2"})
    assert again.fingerprint() == IDENTITY
    with pytest.raises(InputError, match=r"dtype was float16, now bfloat16"):
        FeatureStore.create(store.root, IDENTITY | {"dtype": "bfloat16"})
    with pytest.raises(InputError, match=r"model was mini, now not recorded"):
        FeatureStore.create(store.root, {"dtype": "float16"})


@pytest.mark.parametrize("content", [None, "", "[]", "nonsense"])
def test_other_folders_are_no_store(tmp_path, content):
    if content is not None:
        (tmp_path / "store.json").write_text(content)
    with pytest.raises(InputError, match=r"store\.json: (cannot be read|is not)"):
        FeatureStore(tmp_path).fingerprint()


def test_versions_that_were_called_copies_are_read(store):
    store.write(replace(ENTRY, version="copy1"), tensors())
    assert store.entry(ENTRY.song, "aug1") == ENTRY
    assert list(store.entries()) == [ENTRY]
    assert torch.equal(store.load(ENTRY.song, "aug1")[0], tensors()["fused"])
    pd.DataFrame([{"song": ENTRY.song, "version": "copy1"}]).to_parquet(store.root / INDEX)
    assert list(store.index()["version"]) == ["aug1"]
