import json

import pytest

from hear_aesthetics.errors import InputError
from songeval_task.data.dataset import read_songeval
from songeval_task.dimensions import DIMENSIONS

NAMES = [dimension.name for dimension in DIMENSIONS]


def rating(*values):
    return dict(zip(NAMES, values, strict=True))


@pytest.fixture
def folder(tmp_path):
    """Three songs with audio; ``write`` replaces the metadata."""
    (tmp_path / "mp3").mkdir()
    for number in (1, 2, 3):
        (tmp_path / f"mp3/{number}.mp3").write_bytes(b"audio %d" % number)

    def write(*rows):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
        return tmp_path

    return write


def row(number, *annotation, **extra):
    return {"file_name": f"mp3/{number}.mp3", "annotation": list(annotation), **extra}


def test_labels_are_means_over_raters_in_the_fixed_order(folder):
    first, second = rating(1, 2, 3, 4, 5), rating(2.0, 2.5, 3, 5, 5)
    reordered = dict(reversed(second.items()))
    songs = read_songeval(folder(row(1, first, reordered, system="S1"))).songs
    assert songs[0].labels == (1.5, 2.25, 3.0, 4.5, 5.0)
    assert (songs[0].raters, songs[0].system) == (2, "S1")
    assert songs[0].ratings == ((1, 2, 3, 4, 5), (2, 2.5, 3, 5, 5))


GOOD = rating(3, 3, 3, 3, 3)
MISSING = dict.fromkeys(NAMES[:-1], 3)
BAD_ROWS = [
    (row(2), "unrated", "metadata.jsonl:2: mp3/2.mp3 has no annotation"),
    (row(9, GOOD), "missing audio", "mp3/9.mp3 is not there"),
    (row(2, GOOD, MISSING), "bad rating", "rater 2 has no number for Naturalness"),
    (row(2, GOOD, GOOD | {"Clarity": 5.5}), "bad rating", "Clarity 5.5 is outside 1 to 5"),
    (row(2, GOOD | {"Clarity": True}), "bad rating", "no number for Clarity"),
    (row(1, GOOD), "duplicate id", "mp3/1.mp3 again"),
    ({"annotation": [GOOD]}, "bad row", "no file_name"),
    ({"file_name": "../x.mp3", "annotation": [GOOD]}, "bad row", "leads out"),
    ("{not json", "bad row", "not JSON"),
    ("[1]", "bad row", "not a JSON object"),
    (row(2, GOOD | {"Clarity": 10**400}), "bad rating", "Clarity a number is outside 1 to 5"),
    (row(2, GOOD | {"Clarity": float("nan")}), "bad rating", "Clarity a number is outside"),
    ("[" * 100_000, "bad row", "metadata.jsonl:2: not JSON"),
    (row("\ud800", GOOD), "bad row", r"'mp3/\ud800.mp3' or its system is no text"),
    (row(2, GOOD, system="\udfff"), "bad row", "its system is no text"),
    (row("x" * 300, GOOD), "bad row", "File name too long"),
    (row("./1", GOOD) | {"file_name": "./mp3//1.mp3"}, "duplicate id", "mp3/1.mp3 again"),
]


@pytest.mark.parametrize(("bad", "kind", "message"), BAD_ROWS)
def test_a_bad_row_is_a_problem_and_costs_no_other_song(folder, bad, kind, message):
    data = read_songeval(folder(row(1, GOOD), bad, row(3, GOOD)))
    assert [song.name for song in data.songs] == ["mp3/1.mp3", "mp3/3.mp3"]
    problem = next(problem for problem in data.problems if problem.kind == kind)
    assert message in problem.message
    assert "\n" not in problem.message


def test_audio_without_a_row_is_named(folder):
    data = read_songeval(folder(row(1, GOOD), row(2, GOOD)))
    assert [(problem.kind, problem.message.split(":")[0]) for problem in data.problems] == [
        ("no row", "mp3/3.mp3")
    ]


def test_a_folder_without_metadata_or_songs_is_an_error(folder, tmp_path):
    with pytest.raises(InputError, match=r"metadata\.jsonl: not there"):
        read_songeval(tmp_path)
    with pytest.raises(InputError, match=r"no usable song .* mp3/1\.mp3 has no annotation"):
        read_songeval(folder(row(1)))


def test_a_byte_order_mark_is_skipped_and_other_encodings_are_named(folder):
    root = folder(row(1, GOOD))
    path = root / "metadata.jsonl"
    text = json.dumps(row(1, GOOD, system="Zoë"), ensure_ascii=False) + "\n"
    path.write_bytes(text.encode("utf-8-sig"))
    assert [song.system for song in read_songeval(root).songs] == ["Zoë"]
    path.write_bytes((text + json.dumps(row(2, GOOD))).encode("latin-1"))
    found = read_songeval(root)
    assert [song.name for song in found.songs] == ["mp3/2.mp3"]
    assert "metadata.jsonl:1: not UTF-8" in found.problems[0].message
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(InputError, match=r"metadata\.jsonl: is UTF-16; save it as UTF-8"):
        read_songeval(root)


def test_the_usable_row_of_a_song_wins_over_an_unrated_one(folder):
    found = read_songeval(folder(row(1), row(1, GOOD) | {"file_name": "./mp3/1.mp3"}))
    assert [song.name for song in found.songs] == ["mp3/1.mp3"]
    assert [problem.kind for problem in found.problems[:2]] == ["unrated", "duplicate id"]
    assert "this row is used" in found.problems[1].message


def test_simulated_ratings_say_so(folder):
    ones = rating(1, 1, 1, 1, 1)
    assert not read_songeval(folder(row(1, ones), row(2, ones))).simulated
    assert read_songeval(folder(row(1, ones), row(2, ones, ratings="simulated"))).simulated
