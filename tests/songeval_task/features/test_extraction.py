import numpy as np
import pytest
import torch

import hear_aesthetics
from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.errors import InputError
from hear_aesthetics.features.fusion import HiddenState
from songeval_task.data.prepared import read_prepared
from songeval_task.features.augmentation import load_version
from songeval_task.features.augmented_files import SongVersion, make_augmented, plan_versions
from songeval_task.features.extraction import (
    bytes_needed,
    done,
    extract,
    fingerprint,
    load,
    middle_state,
    todo,
)
from songeval_task.features.store import Entry, FeatureStore

STATES = (HiddenState("muq", 3),)


@pytest.fixture(scope="module")
def model():
    return hear_aesthetics.load_model()


@pytest.fixture(scope="module")
def songs(prepared):
    return read_prepared(prepared)


@pytest.fixture
def store(tmp_path, model):
    return FeatureStore.create(tmp_path / "store", fingerprint(model, STATES, "float16"))


def features(model, waveform):
    with torch.no_grad():
        return model.extract(torch.from_numpy(waveform)[None], STATES)


def test_originals_are_what_the_model_makes_of_each_file(songs, store, model):
    jobs = plan_versions(songs, 0, "all", seed=0)
    assert [job.song.name for job in jobs] == [song.name for song in songs.songs]
    outcomes = list(extract(jobs, store, model, states=STATES))
    assert [error for _, error in outcomes] == [None] * 12
    for job in jobs[:3]:
        expected = features(model, load_audio(job.path))
        fused, state = store.load(job.song.name, "original", ("fused", "muq_03"))
        torch.testing.assert_close(fused.float(), expected.fused[0], rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(
            state.float(), expected.states[STATES[0]][0], rtol=1e-3, atol=1e-3
        )
        entry = store.entry(job.song.name, "original")
        assert (entry.sha256, entry.frames) == (job.song.sha256, len(fused))
        assert entry.model == "mini"


@pytest.mark.slow
def test_versions_of_training_songs_are_made_on_the_way(songs, store, model):
    jobs = plan_versions(songs, 2, "all", seed=5)
    assert len(jobs) == 12 + 2 * 8
    augmented = [job for job in jobs if job.version != "original"][:2]
    list(extract(augmented, store, model, states=STATES))
    for job in augmented:
        waveform, records = load_version(job.path, name=job.song.name, version=job.version, seed=5)
        (fused,) = store.load(job.song.name, job.version)
        expected = features(model, waveform).fused[0]
        torch.testing.assert_close(fused.float(), expected, rtol=1e-3, atol=1e-3)
        entry = store.entry(job.song.name, job.version)
        assert (entry.augmentation, entry.seed) == (records, 5)


@pytest.mark.slow
def test_versions_may_come_from_files(songs, store, model, tmp_path):
    wanted = [job for job in plan_versions(songs, 1, "all", seed=5) if not job.made]
    list(make_augmented(wanted, tmp_path / "files", workers=2))
    jobs = plan_versions(songs, 1, "all", seed=0, augmented=tmp_path / "files")
    (job,) = [job for job in jobs if job.version == "aug1"][:1]
    list(extract([job], store, model))
    waveform, _ = load_version(job.path, name="unused", version="original", seed=0)
    (fused,) = store.load(job.song.name, "aug1")
    expected = features(model, waveform).fused[0]
    torch.testing.assert_close(fused.float(), expected, rtol=1e-3, atol=1e-3)
    entry = store.entry(job.song.name, "aug1")
    assert (entry.seed, entry.sha256) == (5, job.song.sha256)
    assert entry.augmentation == job.augmentation
    with pytest.raises(InputError, match="no aug2"):
        plan_versions(songs, 2, "all", seed=0, augmented=tmp_path / "files")


def test_the_published_versions_are_the_last_alone(songs):
    jobs = plan_versions(songs, 3, "published", seed=0)
    assert {job.version for job in jobs} == {"original", "published3"}
    trained = {job.song.split for job in jobs if job.version == "published3"}
    assert trained == {"train"}
    assert sum(job.version == "original" for job in jobs) == 12


def test_the_bits_do_not_depend_on_what_else_is_left_to_do(songs, store, model, tmp_path):
    jobs = plan_versions(songs, 0, "all", seed=0)
    list(extract(jobs, store, model))
    other = FeatureStore.create(tmp_path / "other", store.fingerprint())
    list(extract(jobs[::3], other, model))
    for job in jobs[::3]:
        expected, found = (s.path(job.song.name, "original").read_bytes() for s in (store, other))
        assert expected == found


def test_what_is_there_is_not_made_again_unless_the_song_changed(songs, store, model):
    jobs = plan_versions(songs, 1, "all", seed=0)
    original, augmented = jobs[:2]
    assert (original.version, augmented.version) == ("original", "aug1")
    list(extract([original], store, model))
    assert todo(jobs, store) == jobs[1:]
    (fused,) = store.load(original.song.name, "original")
    entry = store.entry(original.song.name, "original")
    store.write(vary(entry, version="aug1", seed=1), {"fused": fused})
    with pytest.raises(InputError, match=r"seed was 1, now 0.*--overwrite"):
        todo([augmented], store)
    store.write(vary(entry, version="aug1", seed=0), {"fused": fused})
    assert todo([augmented], store) == []
    store.write(vary(entry, sha256="0" * 64), {"fused": fused})
    assert todo([original], store) == [original], "another file"
    path = store.path(augmented.song.name, "aug1")
    path.write_bytes(path.read_bytes()[:-1])
    assert todo([augmented], store) == [augmented], "cut off"


def vary(entry, **changes):
    return type(entry)(**{**vars(entry), **changes})


def test_a_song_that_cannot_be_read_costs_no_other(songs, store, model, tmp_path):
    jobs = plan_versions(songs, 0, "all", seed=0)[:3]
    jobs[1].path = tmp_path / "broken.mp3"
    jobs[1].path.write_bytes(b"<html>")
    outcomes = list(extract(jobs, store, model))
    assert [error is None for _, error in outcomes] == [True, False, True]
    assert "broken.mp3: a web page" in outcomes[1][1]


def test_numbers_beyond_float16_are_an_error_and_not_infinity(songs, store, model):
    class Loud:
        device, name = model.device, model.name

        def extract(self, waveform, states):
            found = model.extract(waveform, states)
            return type(found)(found.fused * 1e5, found.states)

    (job,) = plan_versions(songs, 0, "all", seed=0)[:1]
    ((_, error),) = extract([job], store, Loud())
    assert "fused holds numbers that float16 cannot; take --dtype bfloat16" in error
    assert not store.path(job.song.name, "original").exists()
    ((_, error),) = extract([job], store, Loud(), dtype="bfloat16")
    assert error is None


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_estimate_is_what_the_files_take(songs, tmp_path, model, dtype):
    store = FeatureStore.create(tmp_path / dtype, fingerprint(model, STATES, dtype))
    jobs = plan_versions(songs, 0, "all", seed=0)
    list(extract(jobs, store, model, states=STATES, dtype=dtype))
    taken = sum(path.stat().st_size for path in store.root.rglob("*.safetensors"))
    assert taken <= bytes_needed(jobs, model, STATES, dtype) < 1.2 * taken


def test_the_middle_state_of_muq_is_the_baselines(model):
    assert str(middle_state(model)) == "muq_03"  # of 6 layers; of the published 12 muq_06


def test_the_identity_is_what_decides_the_numbers(model):
    made = fingerprint(model, STATES, "float16")
    assert made["states"] == ["muq_03"]
    assert made["precision"] == "float32"
    assert made["length_rule"] == "librosa"
    assert set(made["encoders"]) == {"musicfm", "muq"}
    assert "model" not in made
    assert "pooling" not in made
    assert made != fingerprint(model, STATES, "bfloat16")


def test_a_job_keeps_what_was_done_to_it(songs):
    job = plan_versions(songs, 1, "all", seed=0)[1]
    assert isinstance(job, SongVersion)
    with _Inline() as pool:
        waveform = load(job, pool)
    expected, records = load_version(
        job.path, name=job.song.name, version=job.version, seed=job.seed
    )
    assert np.array_equal(waveform, expected)
    assert job.augmentation == records


class _Inline:
    """An executor that works in this process."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, function, *args, **kwargs):
        from concurrent.futures import Future

        future = Future()
        future.set_result(function(*args, **kwargs))
        return future


def test_the_index_lists_what_was_asked_for_and_is_whole(store, songs):
    jobs = plan_versions(songs, 2, "all", seed=0)
    for job in jobs:
        entry = Entry(job.song.name, job.version, job.song.sha256, 1, "mini", [], job.seed)
        store.write(entry, {"fused": torch.zeros(1, 1)})
    fewer = plan_versions(songs, 1, "all", seed=0)
    listed = [(entry.song, entry.version) for entry in done(fewer, store)]
    assert listed == [(job.song.name, job.version) for job in fewer]
    assert len(fewer) < len(jobs) == len(list(store.entries()))
