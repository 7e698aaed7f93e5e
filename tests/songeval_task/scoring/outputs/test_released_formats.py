"""The released programs' JSON: keys, digits and order as they write them, failed songs absent."""

import json
from pathlib import Path

import pytest

from hear_aesthetics.engine.inputs import Input, Inputs
from hear_aesthetics.errors import InputError
from songeval_task.dimensions import TRACKS
from songeval_task.scoring.outputs.released_formats import check_released, released_document

ONE, FIVE = TRACKS["track1"].names, TRACKS["track2"].names


def row(path: str, status: str = "ok") -> dict:
    scores = {name: 3.4157304763793945 + index for index, name in enumerate(FIVE)}
    scores = scores if status == "ok" else dict.fromkeys(scores)
    return {"path": path, "duration": 2.0, **scores, "mean": 3.0, "status": status}


def found(*paths: str) -> Inputs:
    return Inputs([Input(Path(path), path) for path in paths], [])


def test_one_song_is_the_object_that_ear_hear_writes() -> None:
    expected = (
        '{\n  "input_audio_path": "songs/t\\u00fcte.mp3",\n  "Musicality": 4.4157304763793945\n}\n'
    )
    assert released_document("ear-hear", ONE)([row("songs/tüte.mp3")]) == expected


def test_several_songs_are_a_list_without_those_that_failed() -> None:
    document = released_document("ear-hear", FIVE)
    songs = json.loads(document([row("a.wav"), row("bad.wav", "error"), row("c.wav")]))
    assert [song["input_audio_path"] for song in songs] == ["a.wav", "c.wav"]
    assert list(songs[0]) == ["input_audio_path", *FIVE]
    assert json.loads(document([row("a.wav"), row("bad.wav", "error")])) == songs[:1]
    assert json.loads(document([row("bad.wav", "error")])) == []


def test_result_json_is_keyed_by_the_name_up_to_its_first_dot_with_four_decimals() -> None:
    text = released_document("songeval", FIVE)([row("x/take.1.mp3"), row("bad.wav", "error")])
    assert text.startswith('{\n    "take": {\n        "Coherence": 3.4157,\n        "Musicality"')
    assert json.loads(text) == {
        "take": {name: round(3.4157304763793945 + index, 4) for index, name in enumerate(FIVE)}
    }


@pytest.mark.parametrize(
    ("name", "scores"),
    [
        ("songeval", ONE),
        ("ear-hear", FIVE[:2]),
        ("ear-hear", (*FIVE, "track1:Musicality")),
        ("songeval", (*FIVE, "track1:Musicality")),
        ("ear-hear", FIVE[::-1]),
    ],
)
def test_other_dimensions_and_further_heads_are_one_line(name, scores) -> None:
    with pytest.raises(InputError, match=rf"--format {name} holds .*choose one such head"):
        released_document(name, scores)


def test_two_files_of_one_id_are_refused_where_ids_are_keys() -> None:
    inputs = found("a/take.1.wav", "b/take.2.wav")
    with pytest.raises(InputError, match=r"take\.2\.wav: has the file id 'take' of a"):
        check_released("songeval", inputs, None, as_json=False)
    check_released("ear-hear", inputs, Path("o.json"), as_json=False)


@pytest.mark.parametrize(("out", "as_json"), [("o.csv", False), ("o.json", True), (None, True)])
def test_the_output_is_json_of_its_own(out, as_json) -> None:
    with pytest.raises(InputError, match=r"leave out --json, name --out FILE\.json"):
        check_released("ear-hear", found("a.wav"), out and Path(out), as_json=as_json)
