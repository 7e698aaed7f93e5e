import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.errors import InputError
from hear_aesthetics.evaluation.tasks.task import load_task
from songeval_task.data.hear_task import task_folder, write_task
from songeval_task.data.prepared import read_prepared
from songeval_task.dimensions import TRACKS


@pytest.fixture(scope="module")
def songs(prepared):
    return read_prepared(prepared)


@pytest.fixture(scope="module")
def made(songs, tmp_path_factory):
    tasks = tmp_path_factory.mktemp("tasks")
    for track in TRACKS.values():
        assert [error for _, error in write_task(songs, tasks, track)] == [None] * 12
    return tasks


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("track", TRACKS.values(), ids=list(TRACKS))
def test_our_evaluator_reads_the_task(made, track):
    task = load_task(task_folder(made, track))
    assert task.labels == track.names
    assert task.prediction_type == "regression"
    assert task.splits == ("train", "valid", "test")
    assert task.sample_duration is None
    assert task.evaluation == ("lcc", "srcc", "ktau", "mse", "tta")
    assert task.top_tier_thresholds == track.top_tier_thresholds
    assert [len(task.split_labels(split)) for split in task.splits] == [8, 1, 3]
    assert len(task.scores) > 0


@pytest.mark.parametrize("track", TRACKS.values(), ids=list(TRACKS))
def test_labels_are_the_mean_ratings_of_the_song_and_split(songs, made, track):
    everything = tuple(TRACKS["track2"].names)
    for song in songs.songs:
        path = task_folder(made, track) / f"{song.split}.json"
        labels = json.loads(path.read_text())[f"{song.name.removeprefix('mp3/')}.flac"]
        assert labels == [song.labels[everything.index(name)] for name in track.names]


def test_audio_is_48_khz_16_bit_flac_of_the_whole_song(songs, made):
    folder = task_folder(made, TRACKS["track2"]) / "48000"
    assert len(list(folder.rglob("*.flac"))) == 12
    song = songs.split("valid")[0]
    path = folder / "valid" / f"{song.name.removeprefix('mp3/')}.flac"
    info = soundfile.info(path)
    assert (info.format, info.subtype, info.samplerate, info.channels) == (
        *("FLAC", "PCM_16"),
        *(48_000, 1),
    )
    expected = load_audio(songs.path(song), 48_000)
    samples, _ = soundfile.read(path, dtype="float32")
    assert np.abs(samples - expected).max() <= 1 / 32768


def test_an_interrupted_task_is_completed_and_what_is_there_is_kept(songs, made, tmp_path):
    track = TRACKS["track1"]
    begun = write_task(songs, tmp_path, track)
    next(begun)
    begun.close()  # as when a disk is full
    folder = task_folder(tmp_path, track)
    assert not list(folder.glob("test.json"))
    (first, *_) = folder.rglob("*.flac")
    kept = first.stat().st_mtime_ns
    (first.parent / ".half.flac.7.partial").write_bytes(b"x")
    assert [error for _, error in write_task(songs, tmp_path, track)] == [None] * 12
    assert first.stat().st_mtime_ns == kept
    assert contents(folder) == contents(task_folder(made, track))


def test_a_song_that_cannot_be_read_is_left_out_and_named(songs, tmp_path):
    broken = replace(songs.songs[0], name="mp3/broken.mp3", split="test")
    (songs.root / "mp3/broken.mp3").write_bytes(b"<html>")
    try:
        changed = replace(songs, songs=(broken, *songs.songs[1:]))
        outcomes = list(write_task(changed, tmp_path, TRACKS["track1"]))
    finally:
        (songs.root / "mp3/broken.mp3").unlink()
    assert "broken.mp3: a web page" in outcomes[0][1]
    assert [error for _, error in outcomes[1:]] == [None] * 11
    labels = json.loads((task_folder(tmp_path, TRACKS["track1"]) / "test.json").read_text())
    assert "broken.mp3.flac" not in labels


def test_another_set_is_refused(songs, made):
    other = replace(songs, about={**songs.about, "table_sha256": "0" * 64})
    with pytest.raises(InputError, match=r"songs_sha256 was \w+\.\.\., now 000.*--overwrite"):
        list(write_task(other, made, TRACKS["track1"]))


def test_another_task_can_be_started_over(songs, tmp_path):
    other = replace(songs, about={**songs.about, "table_sha256": "0" * 64})
    few = {"songs": songs.songs[:1]}
    list(write_task(replace(other, **few), tmp_path, TRACKS["track1"]))
    list(write_task(replace(songs, **few), tmp_path, TRACKS["track1"], overwrite=True))
    made = json.loads((task_folder(tmp_path, TRACKS["track1"]) / "task_metadata.json").read_text())
    assert made["songs_sha256"] == songs.about["table_sha256"]


def test_two_songs_never_share_a_file(songs, tmp_path):
    one, two = (
        replace(songs.songs[i], name=name) for i, name in enumerate(["mp3/a/b.mp3", "mp3/a-b.mp3"])
    )
    with pytest.raises(InputError, match=r"a-b\.mp3: would share a-b\.mp3\.flac with mp3/a/b\.mp3"):
        list(write_task(replace(songs, songs=(one, two)), tmp_path, TRACKS["track1"]))
    assert not list(tmp_path.iterdir())
