import numpy as np
import pytest

from hear_aesthetics.errors import InputError
from songeval_task.data.dataset import Song
from songeval_task.data.splits import read_ids, split_songs, stratified_sample


@pytest.fixture
def songs():
    labels = np.random.default_rng(0).uniform(1, 5, (200, 5))
    return [Song(f"mp3/{i}.mp3", tuple(row), 4) for i, row in enumerate(labels)]


def test_a_sample_has_the_spread_of_the_whole(songs):
    valid = stratified_sample(songs, 20, seed=3)
    means = np.array([np.mean(song.labels) for song in songs])
    held = np.array([song.name in valid for song in songs])
    assert held.sum() == 20
    assert abs(means[held].mean() - means[~held].mean()) < 0.05
    assert abs(means[held].std() - means[~held].std()) < 0.1


def test_a_sample_follows_from_the_seed_and_not_from_the_order(songs):
    assert stratified_sample(songs, 20, 3) == stratified_sample(songs[::-1], 20, 3)
    assert stratified_sample(songs, 20, 3) != stratified_sample(songs, 20, 4)


def test_parts_are_disjoint_and_complete(songs):
    test = [song.name for song in songs[:40]]
    parts = split_songs(songs, test, fraction=0.2, seed=0)
    assert {name for name, part in parts.items() if part == "test"} == set(test)
    assert len(parts) == 200
    assert list(parts.values()).count("valid") == 32


def test_an_unknown_test_song_is_named(songs):
    with pytest.raises(InputError, match=r"such as mp3/999\.mp3"):
        split_songs(songs, ["mp3/999.mp3"])


@pytest.mark.parametrize("wanted", [0, 200, 201])
def test_an_empty_part_is_refused(songs, wanted):
    with pytest.raises(InputError, match=f"{wanted} of 200 songs cannot be held out"):
        stratified_sample(songs, wanted, 0)


def test_lists_are_read_and_checked(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("mp3/1.mp3\n\nmp3/2.mp3 \n")
    assert read_ids(path) == ["mp3/1.mp3", "mp3/2.mp3"]
    path.write_text("./mp3/1.mp3\r\nmp3/2.mp3\r\n", encoding="utf-8-sig")
    assert read_ids(path) == ["mp3/1.mp3", "mp3/2.mp3"]
    path.write_text("mp3/1.mp3\n", encoding="utf-16")
    with pytest.raises(InputError, match=r"ids\.txt: is not UTF-8"):
        read_ids(path)
    path.write_text("mp3/1.mp3\n./mp3/1.mp3\n")
    with pytest.raises(InputError, match=r"ids\.txt: .* names mp3/1\.mp3 twice"):
        read_ids(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_ids(tmp_path / "missing.txt")


def test_lists_are_read_from_a_url(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("mp3/1.mp3\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_ids("http://127.0.0.1:9/ids.txt")


def test_a_fraction_of_nothing_lets_all_songs_train():
    songs = [Song(f"mp3/{n}.mp3", (1 + n / 10,) * 5, 4) for n in range(10)]
    splits = split_songs(songs, ["mp3/3.mp3"], fraction=0)
    assert sorted(splits.values()) == ["test", *["train"] * 9]
