import hashlib
import json

import pytest

from hear_aesthetics.errors import InputError
from songeval_task.data.dataset import Problem
from songeval_task.data.prepared import PreparedSong, read_prepared, write_prepared

RATINGS = ((1.0, 2.0, 3.0, 4.0, 5.0), (1 / 3, 2.0, 3.0, 4.0, 5.0))
SONGS = (
    PreparedSong(
        *("mp3/1.mp3", (1 / 3, 2.0, 3.0, 4.0, 5.0), 3, "S1", "train", "ab", 61.5), ratings=RATINGS
    ),
    PreparedSong("mp3/a, b.mp3", (2.0,) * 5, 4, "", "valid", "cd", 12.0),
    PreparedSong("mp3/3.mp3", (4.1,) * 5, 4, "S1", "test", "ef", 0.25),
)


@pytest.fixture
def folder(tmp_path):
    problems = [Problem("unrated", "mp3/9.mp3 has no annotation"), Problem("unrated", "more")]
    write_prepared(tmp_path / "prepared", tmp_path, SONGS, problems, {"seed": 7})
    return tmp_path / "prepared"


def test_what_is_written_is_read_to_the_last_bit(folder, tmp_path):
    prepared = read_prepared(folder)
    assert prepared.songs == SONGS
    assert prepared.root == tmp_path
    assert [song.name for song in prepared.split("valid")] == ["mp3/a, b.mp3"]
    assert prepared.path(SONGS[0]) == tmp_path / "mp3/1.mp3"


def test_it_says_what_it_holds_and_how_it_was_made(folder):
    about = read_prepared(folder).about
    assert about["songs"] == {"train": 1, "valid": 1, "test": 1}
    assert about["problems"] == {"unrated": 2}
    assert (about["systems"], about["seed"]) == (1, 7)
    assert "unrated,mp3/9.mp3 has no annotation" in (folder / "problems.csv").read_text()


def test_a_table_that_was_changed_is_refused(folder):
    table = folder / "songs.csv"
    table.write_text(table.read_text().replace("valid", "train"))
    with pytest.raises(InputError, match=r"songs\.csv: changed since it was made"):
        read_prepared(folder)


def test_ratings_that_were_changed_or_lost_are_refused(folder):
    table = folder / "ratings.csv"
    table.write_text(table.read_text().replace("5.0", "4.0", 1))
    with pytest.raises(InputError, match=r"ratings\.csv: changed since it was made"):
        read_prepared(folder)
    table.unlink()
    with pytest.raises(InputError, match=r"not a prepared data set .*ratings\.csv"):
        read_prepared(folder)


def test_folders_of_earlier_versions_hold_no_single_ratings(folder):
    (folder / "ratings.csv").unlink()
    about = json.loads((folder / "dataset.json").read_text())
    del about["ratings_sha256"]
    (folder / "dataset.json").write_text(json.dumps(about))
    songs = read_prepared(folder).songs
    assert [song.labels for song in songs] == [song.labels for song in SONGS]
    assert not any(song.ratings for song in songs)


def test_audio_that_moved_is_named(folder, tmp_path):
    path = folder / "dataset.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps(about | {"root": str(tmp_path / "gone")}))
    with pytest.raises(InputError, match="gone: the audio is no longer there"):
        read_prepared(folder)


def test_the_inner_split_of_earlier_versions_is_the_valid_one(folder):
    text = (folder / "songs.csv").read_text().replace(",valid,", ",inner,")
    (folder / "songs.csv").write_text(text)
    about = json.loads((folder / "dataset.json").read_text())
    about["table_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "dataset.json").write_text(json.dumps(about))
    assert read_prepared(folder).songs == SONGS


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json"])
def test_other_folders_are_refused(folder, text):
    (folder / "dataset.json").write_text(text)
    with pytest.raises(InputError, match=r"dataset\.json: not a prepared data set"):
        read_prepared(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("mp3/1.mp3", "../../1.mp3", "leads out"), ("raters", "judges", "KeyError")],
)
def test_a_hostile_or_damaged_table_is_one_line(folder, old, new, message):
    text = (folder / "songs.csv").read_text().replace(old, new, 1)
    (folder / "songs.csv").write_text(text)
    about = json.loads((folder / "dataset.json").read_text())
    about["table_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "dataset.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=rf"songs\.csv: damaged .*{message}"):
        read_prepared(folder)
