"""``hear-aesthetics score`` on good and broken files: rows, formats, exit codes, what it says."""

import csv
import io
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from songeval_task.scoring.scorer import AestheticScorer

DIMENSIONS = ["Coherence", "Musicality", "Memorability", "Clarity", "Naturalness"]
COLUMNS = [
    *("path", "start", "end", "duration", *DIMENSIONS, "mean"),
    *("loudness_lufs", "model", "head", "demo", "status", "error", "warnings"),
]
MINI = ("--model", "mini")


@pytest.fixture
def songs(tmp_path, write_clip) -> Path:
    """Two files of one name in two folders, and a third."""
    write_clip(tmp_path / "songs" / "take.wav", seed=1)
    write_clip(tmp_path / "songs" / "live" / "take.wav", seed=2)
    write_clip(tmp_path / "songs" / "other.flac", seed=3, seconds=0.7)
    return tmp_path / "songs"


def read_csv(text: str) -> list[dict]:
    return list(csv.DictReader(io.StringIO(text)))


def test_files_of_one_name_are_rows_of_their_own(command, songs, tmp_path) -> None:
    outcome = command("score", songs, *MINI, "--out", tmp_path / "o.csv")
    assert (outcome.code, outcome.out, outcome.errors) == (0, "", [])
    rows = read_csv((tmp_path / "o.csv").read_text())
    assert list(rows[0]) == COLUMNS
    assert [Path(row["path"]).relative_to(songs).as_posix() for row in rows] == [
        "live/take.wav",
        "other.flac",
        "take.wav",
    ]
    assert len({row["Clarity"] for row in rows}) == 3
    assert {(row["status"], row["error"]) for row in rows} == {("ok", "")}


def test_mini_means_the_demo_head_and_says_so_in_every_row(command, songs) -> None:
    outcome = command("score", songs, *MINI)
    rows = read_csv(outcome.out)
    assert {(r["model"], r["head"], r["demo"]) for r in rows} == {("mini", "demo", "true")}
    assert any("demo scores" in note for note in outcome.notes)


def test_rows_hold_what_the_scorer_says(command, songs, demo_scorer) -> None:
    (row,) = read_csv(command("score", songs / "take.wav", *MINI).out)
    scores = demo_scorer.score(songs / "take.wav")
    for name, value in scores.values.items():
        assert float(row[name]) == pytest.approx(value, abs=1e-4)
    mean = math.fsum(scores.values.values()) / 5
    assert float(row["mean"]) == pytest.approx(mean, abs=1e-4)
    assert float(row["loudness_lufs"]) == pytest.approx(scores.loudness_lufs, abs=0.01)
    assert float(row["duration"]) == 0.5


def test_faults_of_the_audio_are_in_the_last_column(command, songs, tmp_path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(24_000), 24_000)
    words = ("score", tmp_path / "silent.wav", songs / "take.wav", *MINI)
    silent, short = json.loads(command(*words, "--json").out)
    assert silent["warnings"] == ("silence (peak -inf, RMS -inf dBFS); shorter than 10 s (1.0 s)")
    assert short["warnings"] == "shorter than 10 s (0.5 s)"
    assert (silent["status"], silent["error"]) == ("ok", None)
    rows = read_csv(command(*words).out)
    assert [row["warnings"] for row in rows] == [silent["warnings"], short["warnings"]]


@pytest.mark.parametrize("name", ["o.csv", "o.json", "o.jsonl", "o.scp"])
def test_every_format_is_complete_and_leaves_no_partial_file(
    command, songs, tmp_path, name
) -> None:
    (songs / "live" / "take.wav").rename(songs / "live" / "take2.wav")
    assert command("score", songs, *MINI, "--out", tmp_path / name).code == 0
    assert len((tmp_path / name).read_text().splitlines()) >= 3
    left = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert left == [name, f"{name}.meta.json", f"{name}.rows.jsonl"]


def test_a_file_over_the_limit_is_an_error_that_names_the_option(command, songs, tmp_path) -> None:
    words = "score", songs, *MINI, "--out", tmp_path / "o.csv", "--max-minutes"
    outcome = command(*words, 0.6 / 60)
    assert outcome.code == 3
    assert "other.flac: more than 0.01 min of audio" in outcome.errors[0]
    assert "--max-minutes" in outcome.errors[0]
    assert command(*words, 0.8 / 60).code == 0


def test_one_bad_file_is_one_error_row(command, songs, tmp_path, write_broken) -> None:
    broken = write_broken(songs / "broken")
    outcome = command("score", songs, *MINI, "--out", tmp_path / "o.json")
    assert outcome.code == 3
    rows = json.loads((tmp_path / "o.json").read_text())
    assert len(rows) == 3 + len(broken)
    failed = [row for row in rows if row["status"] == "error"]
    assert sorted(Path(row["path"]).name for row in failed) == broken
    for row in failed:
        assert row["path"] in row["error"]
        assert "\n" not in row["error"]
        assert row["Clarity"] is row["mean"] is None
        assert row["demo"] is True
    assert outcome.errors == [f"error: {row['error']}" for row in failed]
    assert outcome.notes[-1] == f"3 files scored, {len(broken)} failed"


def test_a_warning_about_audio_is_said_once_for_each_file(command, tmp_path) -> None:
    samples = np.random.default_rng(0).uniform(-20_000, 20_000, 12_000).astype("f4")
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, samples, 24_000, subtype="FLOAT")
    outcome = command("score", tmp_path, *MINI, "--explain", "--timeline", "--json")
    warnings = [note for note in outcome.notes if "full scale is 1" in note]
    assert len(warnings) == 2
    assert "divide by 32768" in warnings[0]


def test_nothing_but_bad_files_is_a_failure(command, tmp_path, write_broken) -> None:
    write_broken(tmp_path / "bad")
    assert command("score", tmp_path / "bad", *MINI).code == 1
    outcome = command("score", tmp_path / "absent.wav", *MINI)
    assert outcome.code == 1
    assert "absent.wav: no such file" in outcome.errors[0]


def test_rows_of_a_list_end_as_scores_or_clear_errors(command, songs, tmp_path) -> None:
    lines = [
        json.dumps({"path": "songs/take.wav", "start_time": 0.1, "end_time": 0.4}),
        json.dumps({"path": "songs/take.wav", "start_time": 0.2}),
        json.dumps({"path": "songs/take.wav", "start_time": 9.0}),
        json.dumps({"path": "songs/absent.wav"}),
        json.dumps({"path": "songs/take.wav", "start_time": "soon"}),
        "{no json",
        "[]",
        json.dumps({"file": "songs/take.wav"}),
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    outcome = command("score", tmp_path / "rows.jsonl", *MINI, "--json")
    rows = json.loads(outcome.out)
    assert outcome.code == 3
    assert [row["status"] for row in rows] == ["ok", "ok", *["error"] * 6]
    assert (rows[0]["start"], rows[0]["end"], rows[0]["duration"]) == (0.1, 0.4, 0.3)
    assert (rows[1]["start"], rows[1]["end"], rows[1]["duration"]) == (0.2, None, 0.3)
    assert all(row["path"] and row["error"] for row in rows[2:])
    for number, row in zip((4, 5, 6, 7, 8), rows[3:], strict=True):
        assert f"rows.jsonl:{number}: " in row["error"]


def test_standard_input_names_files(command, songs, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{songs / 'take.wav'}\n"))
    assert len(read_csv(command("score", "-", *MINI).out)) == 1


def test_an_scp_with_one_name_twice_is_refused_before_anything_is_loaded(
    command, songs, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(AestheticScorer, "from_pretrained", None)
    outcome = command("score", songs, *MINI, "--out", tmp_path / "o.scp")
    assert outcome.code == 2
    assert "has the utterance id 'take'" in outcome.errors[0]
    assert [path.name for path in tmp_path.iterdir()] == ["songs"]


@pytest.mark.parametrize("track", [0, 1])
def test_scp_has_a_line_per_song_of_the_width_of_its_track(
    command, tmp_path, golden, published_heads, tiny_model_directory, track
) -> None:
    model = ("--model", tiny_model_directory, "--head", published_heads[track])
    out = tmp_path / "pred.scp"
    files = [golden / "audio" / name for name in ("medium.wav", "short.wav")]
    assert command("score", *files, *model, "--out", out).code == 0
    lines = [line.split(" ") for line in out.read_text().splitlines()]
    assert [line[0] for line in lines] == ["medium", "short"]
    assert {len(line) for line in lines} == {1 + (1, 5)[track]}


def test_an_scp_of_two_heads_is_refused(
    command, tmp_path, golden, published_heads, tiny_model_directory
) -> None:
    heads = [word for head in published_heads[:2] for word in ("--head", head)]
    short = golden / "audio" / "short.wav"
    model = ("--model", tiny_model_directory)
    outcome = command("score", short, *model, *heads, "--out", tmp_path / "o.scp")
    assert outcome.code == 2
    assert "not 6" in outcome.errors[0]


def test_several_heads_share_a_row(command, golden, published_heads, tiny_model_directory) -> None:
    heads = [word for head in published_heads for word in ("--head", head)]
    short = golden / "audio" / "short.wav"
    (row,) = read_csv(command("score", short, "--model", tiny_model_directory, *heads).out)
    assert row["head"] == "track1.model+track2.model+chain.model"
    assert row["demo"] == "false"
    assert row["mean"] == row["Musicality"]
    names = [name for name in row if name.startswith("chain.model:")]
    assert names == [f"chain.model:{name}" for name in [*DIMENSIONS, "mean"]]


def test_windows_nest_in_json_and_lie_beside_csv(command, tmp_path, write_clip) -> None:
    song = write_clip(tmp_path / "song.wav", seconds=33)
    words = ("score", song, *MINI, "--timeline", "--explain", "--out")
    command(*words, tmp_path / "o.json")
    command(*words, tmp_path / "o.csv")
    (row,) = json.loads((tmp_path / "o.json").read_text())
    assert [(w["start"], w["end"]) for w in row["timeline"]] == [(0.0, 30.0), (10.0, 33.0)]
    assert [(w["start"], w["end"]) for w in row["explain"]] == [(0.0, 10.0), (10, 20), (20, 33)]
    assert sum(window["attention"] for window in row["explain"]) == pytest.approx(1, abs=1e-5)
    table = read_csv((tmp_path / "o.csv.timeline.csv").read_text())
    assert [float(w["Clarity"]) for w in table] == pytest.approx(
        [w["Clarity"] for w in row["timeline"]], abs=1e-5
    )
    changes = read_csv((tmp_path / "o.csv.explain.csv").read_text())
    assert list(changes[0]) == ["path", "start", "end", *DIMENSIONS, "attention"]


def test_windows_of_a_span_have_the_times_of_the_file(command, tmp_path, write_clip) -> None:
    write_clip(tmp_path / "song.wav", seconds=14)
    line = json.dumps({"path": "song.wav", "start_time": 2, "end_time": 12.5})
    (tmp_path / "rows.jsonl").write_text(line)
    outcome = command("score", tmp_path / "rows.jsonl", *MINI, "--timeline", "--json")
    (window,) = json.loads(outcome.out)[0]["timeline"]
    assert (window["start"], window["end"]) == (2.0, 12.5)


def test_the_best_are_ranked_by_their_mean(command, songs, tmp_path) -> None:
    outcome = command("score", songs, *MINI, "--top", 2, "--out", tmp_path / "o.csv")
    rows = sorted(read_csv((tmp_path / "o.csv").read_text()), key=lambda r: -float(r["mean"]))
    lines = outcome.out.splitlines()
    assert len(lines) == 3
    assert lines[0].split()[:3] == ["rank", "path", "duration"]
    for rank, (line, row) in enumerate(zip(lines[1:], rows, strict=False), start=1):
        assert line.split()[:2] == [str(rank), row["path"]]
        assert f"{float(row['mean']):.2f}" in line


def test_a_broken_picture_name_is_refused_and_a_good_one_drawn(command, songs, tmp_path) -> None:
    assert command("score", songs, *MINI, "--plot", tmp_path / "p.jpg").code == 2
    assert command("score", songs, *MINI, "--plot", tmp_path / "p.png", "--timeline").code == 0
    assert (tmp_path / "p.png").read_bytes()[1:4] == b"PNG"


def test_more_songs_than_a_picture_holds_are_said(command, tmp_path, write_clip) -> None:
    for number in range(9):
        write_clip(tmp_path / "songs" / f"{number}.wav", seed=number)
    outcome = command("score", tmp_path / "songs", *MINI, "--plot", tmp_path / "p.png")
    assert any("shows the first 8 of 9 songs" in note for note in outcome.notes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--timeline"], "--timeline needs --out, --json or --plot"),
        (["--explain", "--plot", "p.png"], "--explain needs --out or --json"),
        (["--out", "o.xlsx"], "must end with"),
        (["--out", "absent/o.csv"], "there is no folder absent"),
        (["--head", "track9"], "'track9' is neither a head"),
    ],
)
def test_wrong_usage_is_said_in_one_line(
    command, songs, tmp_path, monkeypatch, words, message
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = command("score", songs, *MINI, *words)
    assert outcome.code == 2
    (line,) = outcome.errors
    assert message in line


def test_missing_weights_are_a_failure_with_a_remedy(command, songs, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HEAR_AESTHETICS_HOME", raising=False)
    outcome = command("score", songs)
    assert outcome.code == 1
    (line,) = outcome.errors
    assert "hear-aesthetics models download hear-track2" in line


def test_twenty_songs_load_the_model_once(command, tmp_path, write_clip, monkeypatch) -> None:
    from songeval_task.scoring import scorer

    loads = []
    load = scorer.load_model
    monkeypatch.setattr(scorer, "load_model", lambda *a, **k: (loads.append(a), load(*a, **k))[1])
    for number in range(20):
        write_clip(tmp_path / "songs" / f"{number}.wav", seconds=0.3, seed=number)
    outcome = command("score", tmp_path / "songs", *MINI, "--out", tmp_path / "o.csv")
    assert outcome.code == 0
    assert len(read_csv((tmp_path / "o.csv").read_text())) == 20
    assert len(loads) == 1


def test_rows_of_a_version_with_other_columns_are_refused(command, songs, tmp_path) -> None:
    words = ("score", songs / "take.wav", *MINI, "--out", tmp_path / "o.csv")
    assert command(*words).code == 0
    journal = tmp_path / "o.csv.rows.jsonl"
    header, *lines = journal.read_text().splitlines()
    fingerprint = json.loads(header)["fingerprint"]
    fingerprint["columns"].remove("warnings")
    journal.write_text("\n".join([json.dumps({"fingerprint": fingerprint}), *lines]) + "\n")
    outcome = command(*words)
    assert outcome.code == 2
    assert "columns was" in outcome.errors[0]


@pytest.fixture
def scored(monkeypatch) -> list[str]:
    """The names of the files that are decoded, as they are."""
    from hear_aesthetics.audio.loading import open_decoder

    names: list[str] = []

    def counted(path):
        names.append(Path(path).name)
        return open_decoder(path)

    monkeypatch.setattr("hear_aesthetics.audio.loading.open_decoder", counted)
    return names


@pytest.mark.parametrize("name", ["o.json", "o.csv"])
def test_only_new_changed_and_failed_files_are_scored_again(
    command, tmp_path, write_clip, scored, name
) -> None:
    songs, out = tmp_path / "songs", tmp_path / name
    for number in range(3):
        write_clip(songs / f"{number}.wav", seconds=5.0, seed=number)
    (songs / "broken.wav").write_bytes(b"")
    words = ("score", songs, *MINI, "--out", out)
    assert command(*words).code == 3
    before = out.read_text().splitlines()
    assert command(*words).code == 3  # nothing but the failed one
    assert scored[4:] == ["broken.wav"]
    assert out.read_text().splitlines() == before

    scored.clear()
    write_clip(songs / "1.wav", seconds=5.4, seed=7)
    write_clip(songs / "broken.wav", seconds=5.0, seed=8)
    write_clip(songs / "new.wav", seconds=5.0, seed=9)
    outcome = command(*words)
    assert outcome.code == 0
    assert sorted(scored) == ["1.wav", "broken.wav", "new.wav"]
    assert any("2 of 5 rows are there already" in note for note in outcome.notes)
    fresh = tmp_path / f"fresh_{name}"
    assert command("score", songs, *MINI, "--out", fresh).code == 0
    # What was left shared other batches, whose products may round otherwise: those of few rows
    # (clips below 5 s) by more than this.
    found, expected = (re.split(r"(-?\d+\.\d+)", path.read_text()) for path in (out, fresh))
    assert found[::2] == expected[::2]
    scores = [np.array(parts[1::2], dtype=float) for parts in (found, expected)]
    np.testing.assert_allclose(*scores, rtol=0, atol=1e-5)
    assert not list(tmp_path.glob("*.partial.jsonl"))


def test_overwriting_scores_all_again_and_other_inputs_are_told(
    command, songs, tmp_path, scored
) -> None:
    words = ("--out", tmp_path / "o.csv")
    command("score", songs, *MINI, *words)
    outcome = command("score", songs / "other.flac", *MINI, *words)
    assert any("without 2 earlier rows" in note for note in outcome.notes)
    assert len(scored) == 3
    command("score", songs / "other.flac", *MINI, *words, "--overwrite")
    assert scored[3:] == ["other.flac"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (["--loudness", "-14"], "loudness was None, now -14"),
        (["--head", "HEAD"], "head was track1.model, now track2.model"),
    ],
)
def test_a_file_of_other_scores_is_kept(
    command, songs, tmp_path, tiny_model_directory, published_heads, changed, named
) -> None:
    first, second = published_heads[:2]
    model, out = ("--model", tiny_model_directory), tmp_path / "o.csv"
    assert command("score", songs, *model, "--head", first, "--out", out).code == 0
    before = out.read_text()
    heads = ["--head", first] if "HEAD" not in changed else []
    changed = [second if word == "HEAD" else word for word in changed]
    outcome = command("score", songs, *model, *heads, "--out", out, *changed)
    assert outcome.code == 2
    (line,) = outcome.errors
    assert "o.csv: made with other settings" in line
    assert "--overwrite" in line
    assert named in line
    assert out.read_text() == before
    assert command("score", songs, *model, *heads, "--out", out, *changed, "--overwrite").code == 0
    assert out.read_text() != before


def test_a_file_that_nothing_is_known_of_is_kept(command, songs, tmp_path) -> None:
    (tmp_path / "o.csv").write_text("mine")
    outcome = command("score", songs, *MINI, "--out", tmp_path / "o.csv")
    assert outcome.code == 2
    assert "without a record of what made it" in outcome.errors[0]
    assert (tmp_path / "o.csv").read_text() == "mine"


def test_where_the_weights_came_from_does_not_decide(command, tmp_path, songs, golden) -> None:
    """The same head and model from another folder: nothing to do."""
    out, homes = tmp_path / "o.csv", [tmp_path / "a", tmp_path / "b"]
    for home in homes:
        shutil.copytree(golden / "muq_tiny", home / "muq")
        shutil.copytree(golden / "musicfm_tiny" / "musicfm", home / "musicfm")
        shutil.copy(golden / "hear_head" / "track1.model.safetensors", home / "head.safetensors")
        words = ("--model", home, "--head", home / "head.safetensors", "--out", out)
        outcome = command("score", songs, *words)
        assert outcome.code == 0
    assert any("3 of 3 rows are there already" in note for note in outcome.notes)


@pytest.mark.slow
def test_the_real_song_in_every_format(command, shared, tmp_path) -> None:
    song = shared / "audio" / "songeval_example.mp3"
    for suffix in ("csv", "json", "jsonl", "scp"):
        words = ("--out", tmp_path / f"o.{suffix}", "--plot", tmp_path / f"{suffix}.png")
        assert command("score", song, *MINI, *words).code == 0
    (row,) = json.loads((tmp_path / "o.json").read_text())
    assert row["duration"] == pytest.approx(soundfile.info(song).duration, abs=0.1)
    assert -30 < row["loudness_lufs"] < -5
    assert json.loads((tmp_path / "o.jsonl").read_text()) == row
    (line,) = read_csv((tmp_path / "o.csv").read_text())
    assert [float(line[name]) for name in DIMENSIONS] == [row[name] for name in DIMENSIONS]
    scp = (tmp_path / "o.scp").read_text().split()
    assert scp[0] == song.stem
    assert [float(value) for value in scp[1:]] == [row[name] for name in DIMENSIONS]


def test_a_folder_moved_scores_the_same(command, songs, tmp_path) -> None:
    """Scores depend on the audio, not on where it lies or what lies beside it."""
    first = read_csv(command("score", songs, *MINI).out)
    shutil.move(songs / "other.flac", tmp_path / "elsewhere.flac")
    second = read_csv(command("score", tmp_path / "elsewhere.flac", *MINI).out)
    assert float(first[1]["Clarity"]) == pytest.approx(float(second[0]["Clarity"]), abs=1e-4)


def test_songs_too_short_to_explain_are_said(command, tmp_path, write_clip) -> None:
    """Under 15 s a song is one window: nothing would be left without it."""
    write_clip(tmp_path / "in" / "short.wav", seconds=9)
    write_clip(tmp_path / "in" / "long.wav", seconds=16)
    out = tmp_path / "o.json"
    done = command("score", tmp_path / "in", *MINI, "--explain", "--out", out)
    assert any("--explain: 1 of 2 songs last under 15 s" in note for note in done.notes)
    explained = {Path(row["path"]).stem: row["explain"] for row in json.loads(out.read_text())}
    assert explained["short"][0]["Clarity"] is None
    assert all(window["Clarity"] is not None for window in explained["long"])
