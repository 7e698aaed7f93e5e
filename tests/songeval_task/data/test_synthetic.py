import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hear_aesthetics.audio.loading import audio_info
from hear_aesthetics.errors import InputError
from hear_aesthetics.synthesis.folder import begin_set
from songeval_task.data.dataset import read_songeval
from songeval_task.data.synthetic import (
    SongSetConfig,
    finish_set,
    plan,
    ratings,
    render_songs,
)
from songeval_task.dimensions import DIMENSIONS

TINY = SongSetConfig(songs=4, seed=3, shortest=4.0, longest=6.0)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def make(folder, recipe=TINY, workers=2):
    songs = plan(recipe)
    begin_set(folder, recipe)
    list(render_songs(songs, folder, workers))
    finish_set(folder, recipe, songs)
    return songs


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "set"
    return folder, make(folder)


@pytest.mark.slow
def test_a_set_is_a_complete_songeval_folder(made):
    folder, songs = made
    data = read_songeval(folder)
    assert data.problems == ()
    assert [song.name for song in data.songs] == [song.name for song in songs]
    assert {song.raters for song in data.songs} == {4}
    assert [song.system for song in data.songs] == [song.system.name for song in songs]
    for song in songs:
        info = audio_info(folder / song.name)
        assert (info.sample_rate, info.format) == (48_000, "MP3")
        assert info.duration == pytest.approx(song.seconds, abs=0.1)
    assert "test and demo set" in (folder / "README.md").read_text()
    assert read_songeval(folder).simulated


@pytest.mark.slow
def test_what_is_missing_is_made_again_and_the_same(made):
    folder, songs = made
    whole = contents(folder)
    (folder / songs[2].name).unlink()
    (folder / "metadata.jsonl").unlink()
    (folder / "mp3/.4.mp3.99.partial").write_bytes(b"left by a killed writer")
    kept = (folder / songs[0].name).stat().st_mtime_ns
    make(folder, workers=1)
    assert contents(folder) == whole
    assert (folder / songs[0].name).stat().st_mtime_ns == kept


def test_another_recipe_or_foreign_files_are_refused(tmp_path):
    begin_set(tmp_path / "set", TINY)
    with pytest.raises(InputError, match=r"songs was 4, now 5.*--overwrite"):
        begin_set(tmp_path / "set", SongSetConfig(songs=5))
    begin_set(tmp_path / "set", SongSetConfig(songs=5), overwrite=True)
    begin_set(tmp_path / "set", SongSetConfig(songs=5))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        begin_set(tmp_path / "mine", TINY)


@pytest.mark.parametrize(
    "options", [{"songs": 0}, {"shortest": 0}, {"shortest": 9, "longest": 8}, {"systems": 7}]
)
def test_impossible_recipes_are_refused(options):
    with pytest.raises(InputError):
        SongSetConfig(**options)


def test_a_longer_set_begins_with_the_songs_of_a_shorter_one():
    assert plan(SongSetConfig(songs=20, seed=1))[:5] == plan(SongSetConfig(songs=5, seed=1))
    assert plan(SongSetConfig(songs=5, seed=1)) != plan(SongSetConfig(songs=5, seed=2))


def test_ratings_are_whole_points_near_the_latent_qualities():
    songs = plan(SongSetConfig(songs=400))
    latent = np.array([song.qualities.as_array() for song in songs])
    rated = [ratings(song, 0) for song in songs]
    names = [dimension.name for dimension in DIMENSIONS]
    assert all(list(rater) == names for raters in rated for rater in raters)
    points = np.array([[list(rater.values()) for rater in raters] for raters in rated])
    assert set(np.unique(points)) == {1.0, 2.0, 3.0, 4.0, 5.0}
    means = points.mean(axis=1)
    assert points.std(axis=1).mean() > 0.3, "listeners disagree"
    for column in range(5):
        assert np.corrcoef(latent[:, column], means[:, column])[0, 1] > 0.95
        assert 0.05 < (means[:, column] >= DIMENSIONS[column].top_tier).mean() < 0.6


def test_systems_differ_and_share_the_songs_evenly():
    songs = plan(SongSetConfig(songs=400))
    by_system = {}
    for song in songs:
        by_system.setdefault(song.system.name, []).append(song.qualities.as_array().mean())
    assert len(by_system) == 10
    assert {len(values) for values in by_system.values()} == {40}
    means = [np.mean(values) for values in by_system.values()]
    assert max(means) - min(means) > 0.5


def test_length_tells_nothing_about_the_qualities():
    songs = plan(SongSetConfig(songs=400))
    seconds = [song.seconds for song in songs]
    assert 60 <= min(seconds) < 65
    assert 175 < max(seconds) <= 180
    latent = np.array([song.qualities.as_array() for song in songs])
    for column in latent.T:
        assert abs(np.corrcoef(seconds, column)[0, 1]) < 0.15


def children_of(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def runs(pid):
    """Whether a process is there, and not one that only waits to be buried."""
    path = Path(f"/proc/{pid}/cmdline")
    return path.exists() and path.read_bytes() != b""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_killed_and_run_again_gives_the_same_set_and_leaves_no_worker(tmp_path):
    command = [sys.executable, "-m", "songeval_task", "synthesize"]
    options = ["--songs", "16", "--seed", "3", "--seconds", "4-6"]
    killed = subprocess.Popen([*command, str(tmp_path / "a"), *options], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("a/mp3/*.mp3")) and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = children_of(killed.pid)
    assert workers
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "a/metadata.jsonl").exists()
    while any(runs(pid) for pid in workers):
        assert time.monotonic() < deadline, "a worker outlives its parent"
        time.sleep(0.05)
    done = subprocess.run(
        [*command, str(tmp_path / "a"), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "16 songs ready" in done.stderr
    make(tmp_path / "b", replace(TINY, songs=16))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert json.loads((tmp_path / "a/metadata.jsonl").read_text().splitlines()[0])["system"]
