import hashlib
from dataclasses import replace

import pytest

from hear_aesthetics.errors import InputError
from songeval_task.data.dataset import Song, SongEval
from songeval_task.data.preparation import (
    AudioFacts,
    Choices,
    inspect_audio,
    prepare,
    read_systems,
    split,
)
from songeval_task.data.prepared import read_prepared


@pytest.fixture
def data(tmp_path):
    songs = tuple(Song(f"mp3/{i}.mp3", (1 + i % 5,) * 5, 4, system=f"S{i % 2}") for i in range(40))
    return SongEval(tmp_path, songs, ())


def facts(data, same=(), **errors):
    """Facts of all songs; those named in ``same`` share one hash."""
    return [
        AudioFacts(
            song.name,
            "same" if index in same else song.name,
            10.0,
            errors.get(f"song{index}"),
        )
        for index, song in enumerate(data.songs)
    ]


def run(data, found, **choices):
    prepared, problems = prepare(data, found, data.root / "out", Choices(**choices, overwrite=True))
    assert read_prepared(data.root / "out").songs == prepared.songs
    splits = {song.name: song.split for song in prepared.songs}
    return splits, [(problem.kind, problem.message.split(":")[0]) for problem in problems]


def ids(tmp_path, *numbers):
    path = tmp_path / "ids.txt"
    path.write_text("".join(f"mp3/{number}.mp3\n" for number in numbers))
    return str(path)


def test_the_list_decides_what_is_reported(data, tmp_path):
    splits, _ = run(data, facts(data), validation_ids=ids(tmp_path, *range(10)))
    assert {name for name, split in splits.items() if split == "test"} == {
        f"mp3/{i}.mp3" for i in range(10)
    }
    assert list(splits.values()).count("valid") == 3


def test_without_a_list_a_seeded_quarter_is_reported(data):
    splits, _ = run(data, facts(data), seed=1)
    assert [*splits.values()].count("test") == 10
    assert splits == run(data, facts(data), seed=1)[0]
    assert splits != run(data, facts(data), seed=2)[0]
    assert [*run(data, facts(data), test_songs=7)[0].values()].count("test") == 7


@pytest.mark.parametrize(("count", "expected"), [(40, 10), (400, 100), (2399, 200)])
def test_without_a_list_at_most_a_quarter_and_at_most_as_many_as_officially_is_reported(
    count, expected
):
    songs = [Song(f"mp3/{i}.mp3", (1 + i % 5,) * 5, 4) for i in range(count)]
    assert [*split(songs, Choices()).values()].count("test") == expected


def test_a_song_that_cannot_be_read_is_left_out(data):
    splits, problems = run(data, facts(data, song3="mp3/3.mp3: an empty file"))
    assert "mp3/3.mp3" not in splits
    assert problems == [("unreadable audio", "mp3/3.mp3")]


def test_the_audio_of_a_test_song_never_trains(data, tmp_path):
    splits, problems = run(
        data, facts(data, same=(2, 5, 30)), validation_ids=ids(tmp_path, 5, 6, 7)
    )
    assert splits["mp3/5.mp3"] == "test"
    assert not {"mp3/2.mp3", "mp3/30.mp3"} & set(splits)
    assert problems == [("audio of a test song", f"mp3/{i}.mp3") for i in (2, 30)]


def test_equal_songs_train_together(data, tmp_path):
    everything = range(3, 40)
    splits, problems = run(
        data, facts(data, same=everything), validation_ids=ids(tmp_path, 0), valid_fraction=0.5
    )
    assert {splits[f"mp3/{i}.mp3"] for i in everything} == {"train"}
    assert len(problems) == len(everything) - 1


def test_systems_come_from_the_table_over_the_metadata(data, tmp_path):
    path = tmp_path / "systems.csv"
    path.write_text("file_name,system,other\nmp3/0.mp3,Udio,x\n")
    prepared, _ = prepare(data, facts(data), tmp_path / "out", Choices(systems=read_systems(path)))
    assert [song.system for song in prepared.songs[:3]] == ["Udio", "S1", "S0"]


@pytest.mark.parametrize("text", ["", "name\nx\n", "song,system\nx,y\n"])
def test_a_table_of_systems_without_its_columns_is_refused(tmp_path, text):
    path = tmp_path / "systems.csv"
    path.write_text(text)
    with pytest.raises(InputError, match="needs the columns name and system"):
        read_systems(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize(
    "text",
    [
        "file_name,system\n./mp3/0.mp3,Süno\n",
        "name;system\r\nmp3/0.mp3;Süno\r\n",
        "system\tname\nSüno\tmp3/0.mp3\n",
    ],
)
def test_tables_of_systems_come_in_many_spellings(tmp_path, text, encoding):
    path = tmp_path / "systems.csv"
    path.write_bytes(text.encode(encoding))
    assert read_systems(path) == {"mp3/0.mp3": "Süno"}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_table_of_another_encoding_is_named(tmp_path, encoding):
    path = tmp_path / "systems.csv"
    path.write_bytes("name,system\nmp3/0.mp3,Süno\n".encode(encoding))
    with pytest.raises(InputError, match=r"systems\.csv: is not UTF-8"):
        read_systems(path)


def test_a_song_of_two_systems_is_refused(tmp_path):
    path = tmp_path / "systems.csv"
    path.write_text("name,system\nmp3/0.mp3,A\n./mp3/0.mp3,B\n")
    with pytest.raises(InputError, match=r"mp3/0\.mp3 has two systems"):
        read_systems(path)


def test_other_splits_are_not_replaced_in_silence(data, tmp_path):
    out = tmp_path / "out"
    first, _ = prepare(data, facts(data), out, Choices(seed=1))
    again, _ = prepare(data, facts(data), out, Choices(seed=1))
    assert again.about == first.about
    with pytest.raises(InputError, match=r"out: .*seed was 1, now 2.*--overwrite"):
        prepare(data, facts(data), out, Choices(seed=2))
    assert read_prepared(out).songs == first.songs
    prepare(data, facts(data), out, Choices(seed=2, overwrite=True))
    assert read_prepared(out).songs != first.songs


def test_too_few_songs_for_the_splits_are_refused(data):
    with pytest.raises(InputError, match="40 of 40 songs cannot be held out"):
        run(data, facts(data), test_songs=40)
    assert not (data.root / "out").exists()


def test_each_file_has_its_hash_and_length_in_order(tmp_path, write_clip):
    names = [f"{name}.wav" for name in "cab"]
    for number, name in enumerate(names):
        write_clip(tmp_path / name, seconds=0.5 + number, seed=number)
    facts = list(inspect_audio(tmp_path, names))
    assert [fact.name for fact in facts] == names
    assert [fact.seconds for fact in facts] == pytest.approx([0.5, 1.5, 2.5])
    for fact in facts:
        assert fact.sha256 == hashlib.sha256((tmp_path / fact.name).read_bytes()).hexdigest()
        assert fact.error is None


def test_what_cannot_be_read_is_named_and_costs_no_other_file(tmp_path, write_clip):
    write_clip(tmp_path / "good.wav")
    (tmp_path / "page.mp3").write_bytes(b"<!DOCTYPE html><html>404</html>")
    good, page, absent = inspect_audio(tmp_path, ["good.wav", "page.mp3", "absent.mp3"])
    assert good.error is None
    assert "page.mp3: a web page, not audio" in page.error
    assert "absent.mp3: cannot be read" in absent.error
    assert page.seconds == absent.seconds == 0


def test_a_prepared_set_keeps_that_its_ratings_are_simulated(data, tmp_path):
    of_people, _ = prepare(data, facts(data), tmp_path / "people", Choices())
    simulated, _ = prepare(
        replace(data, simulated=True), facts(data), tmp_path / "simulated", Choices()
    )
    assert "ratings" not in of_people.about
    assert read_prepared(simulated.folder, need_audio=False).about["ratings"] == "simulated"
