"""``hear-aesthetics audit``: what is not the music, measured; resumed; refused in words."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hear_aesthetics.files import write_text
from songeval_task.audit import variants as variants_module
from songeval_task.uncertainty.calibration import Calibration
from songeval_task.uncertainty.reference import ReferenceSongs, cross_distance

MINI = ("--model", "mini")
COLUMNS = ("Coherence", "Musicality", "Memorability", "Clarity", "Naturalness", "mean")
PAGES = ("audit.csv", "audit.json", "audit.md", "audit.png")


@pytest.fixture
def songs(tmp_path, write_clip) -> Path:
    """Eight songs of a second and a bit, mono float wav files."""
    for number in range(8):
        path = write_clip(tmp_path / "songs" / f"{number}.wav", 1 + 0.1 * (number % 2), seed=number)
        samples, rate = soundfile.read(path, dtype="float32")
        soundfile.write(path, samples, rate, subtype="FLOAT")
    return tmp_path / "songs"


def effects(out: Path) -> dict[tuple[str, str], dict]:
    found = json.loads((out / "audit.json").read_text())["effects"]
    return {(effect["variant"], effect["column"]): effect for effect in found}


def rows(out: Path) -> list[dict]:
    lines = (out / "scores.jsonl").read_text().splitlines()[1:]
    return [json.loads(line)["row"] for line in lines]


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in PAGES}


def test_a_repeated_song_does_not_change_at_all(command, songs, tmp_path) -> None:
    outcome = command("audit", songs, *MINI, "--out", tmp_path / "out", "--variants", "repeat")
    assert outcome.code == 0
    for column in COLUMNS:
        effect = effects(tmp_path / "out")["repeat", column]
        assert (effect["songs"], effect["change"], effect["absolute"]) == (8, 0, 0)
        assert effect["rank_share"] == 0


def test_gain_gives_the_scores_of_a_file_with_that_gain(
    command, songs, tmp_path, demo_scorer
) -> None:
    command("audit", songs, *MINI, "--out", tmp_path / "out", "--variants", "gain")
    gain = 10 ** (6 / 20)
    for row in rows(tmp_path / "out"):
        if row["variant"] == "gain +6 dB":
            samples, rate = soundfile.read(row["path"], dtype="float32")
            soundfile.write(tmp_path / "loud.wav", gain * samples, rate, subtype="FLOAT")
            direct = demo_scorer.score(tmp_path / "loud.wav")
            for name, value in {**direct.values, **direct.means}.items():
                assert row[name] == pytest.approx(value, abs=1e-5)
            assert row["loudness_lufs"] == pytest.approx(direct.loudness_lufs, abs=1e-3)
    assert effects(tmp_path / "out")["gain +6 dB", "mean"]["loudness"] == pytest.approx(6, abs=0.1)


def test_channels_that_the_pipeline_averages_change_nothing(command, tmp_path, write_clip) -> None:
    left, right = (
        soundfile.read(write_clip(tmp_path / "clips" / f"{n}.wav", 1, seed=n))[0] for n in (1, 2)
    )
    (tmp_path / "songs").mkdir()
    soundfile.write(tmp_path / "songs" / "mono.wav", left, 24_000)
    soundfile.write(tmp_path / "songs" / "stereo.wav", np.stack([left, right], axis=1), 24_000)
    out = tmp_path / "out"
    command("audit", tmp_path / "songs", *MINI, "--out", out, "--variants", "channels")
    by_song = {(Path(row["path"]).stem, row["variant"]): row for row in rows(out)}
    for song, exact in (("mono", True), ("stereo", False)):
        for variant in ("mono", "channels swapped", "polarity inverted"):
            for column in COLUMNS:
                change = by_song[song, variant][column] - by_song[song, "original"][column]
                assert abs(change) <= (0 if exact and variant != "polarity inverted" else 1e-5)


@pytest.mark.parametrize("kept", [0, 11])
def test_an_interrupted_audit_ends_with_the_same_tables(command, songs, tmp_path, kept) -> None:
    out = tmp_path / "out"
    words = ("audit", songs, *MINI, "--out", out, "--variants", "gain,noise")
    command(*words)
    whole = contents(out)
    for name in PAGES:
        (out / name).unlink()
    journal = out / "scores.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: 1 + kept]) + lines[1 + kept][:40])  # torn by a kill
    outcome = command(*words)
    assert outcome.code == 0
    assert contents(out) == whole
    assert journal.read_bytes().splitlines(keepends=True) == lines


def test_the_same_command_computes_nothing_again(command, songs, tmp_path, monkeypatch) -> None:
    words = ("audit", songs, *MINI, "--out", tmp_path / "out", "--variants", "repeat")
    command(*words)
    before = (tmp_path / "out" / "scores.jsonl").read_bytes()
    monkeypatch.setattr("songeval_task.audit.run.decode", None)
    assert command(*words).code == 0
    assert (tmp_path / "out" / "scores.jsonl").read_bytes() == before


def test_groups_and_songs_are_added_to_what_is_there(command, songs, tmp_path, write_clip) -> None:
    out = tmp_path / "out"
    command("audit", songs, *MINI, "--out", out, "--variants", "repeat")
    assert len(rows(out)) == 8 * 2
    write_clip(songs / "9.wav", seed=9)
    command("audit", songs, *MINI, "--out", out, "--variants", "repeat,noise")
    found = rows(out)
    assert len(found) == 9 * 5
    assert len({(row["path"], row["variant"]) for row in found}) == len(found)


def test_other_settings_are_refused_in_words(command, songs, tmp_path) -> None:
    out = tmp_path / "out"
    words = ("audit", songs, *MINI, "--out", out, "--variants", "repeat")
    command(*words)
    before = contents(out)
    outcome = command(*words, "--seconds", "1")
    assert outcome.code == 2
    assert "seconds was None, now 1.0" in outcome.errors[0]
    assert "--overwrite" in outcome.errors[0]
    assert contents(out) == before
    assert command(*words, "--seconds", "1", "--overwrite").code == 0
    assert {row["duration"] for row in rows(out)} == {1.0}


def test_other_variants_of_a_version_are_refused(command, songs, tmp_path, monkeypatch) -> None:
    words = ("audit", songs, *MINI, "--out", tmp_path / "out", "--variants", "repeat")
    command(*words)
    monkeypatch.setattr("songeval_task.audit.run.VERSION", variants_module.VERSION + 1)
    outcome = command(*words)
    assert outcome.code == 2
    assert "variants was 1, now 2" in outcome.errors[0]


def test_a_corrupt_file_costs_one_line(command, songs, tmp_path) -> None:
    (songs / "a.wav").write_bytes(b"")
    out = tmp_path / "out"
    outcome = command("audit", songs, *MINI, "--out", out, "--variants", "gain,repeat")
    assert outcome.code == 3
    assert len(outcome.errors) == 1
    assert "a.wav: an empty file" in outcome.errors[0]
    assert effects(out)["repeat", "mean"]["songs"] == 8
    assert "## Songs that failed" in (out / "audit.md").read_text()
    assert json.loads((out / "audit.json").read_text())["failed"] == [outcome.errors[0][7:]]


def test_nothing_but_corrupt_files_is_a_failure(command, tmp_path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    outcome = command("audit", tmp_path / "a.wav", *MINI, "--out", tmp_path / "out")
    assert outcome.code == 1
    assert len(outcome.errors) == 1
    assert not (tmp_path / "out" / "audit.md").exists()


def test_a_crop_that_leaves_nothing_is_not_measured_and_says_so(command, songs, tmp_path) -> None:
    out = tmp_path / "out"
    outcome = command("audit", songs, *MINI, "--out", out, "--variants", "crop")
    assert outcome.code == 0
    assert any("without first 5 s: not measured for 8 of 8 songs" in n for n in outcome.notes)
    found = effects(out)
    assert found["without first 5 s", "mean"]["change"] is None
    assert found["without first 0.1 s", "mean"]["songs"] == 8
    assert "leaves 0.00 s" in (out / "audit.md").read_text()


def test_a_codec_that_is_not_installed_is_a_row_that_says_why(
    command, songs, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(variants_module, "find_spec", lambda name: None)
    out = tmp_path / "out"
    outcome = command("audit", songs, *MINI, "--out", out, "--variants", "aac,repeat")
    assert outcome.code == 0
    with (out / "audit.csv").open() as file:
        found = [row for row in csv.DictReader(file) if row["group"] == "aac"]
    assert [row["songs"] for row in found] == ["0"] * len(COLUMNS)
    assert found[0]["note"] == 'av is not installed: pip install "hear-aesthetics[av]"'
    assert found[0]["change"] == ""


def test_every_column_of_every_head_is_told_from_one_pass(
    command, songs, tmp_path, tiny_model_directory, published_heads
) -> None:
    out = tmp_path / "out"
    heads = [word for path in published_heads[:2] for word in ("--head", path)]
    words = ("--model", tiny_model_directory, *heads, "--out", out, "--variants", "gain")
    outcome = command("audit", songs, *words)
    assert outcome.code == 0, outcome.errors
    columns = {effect["column"] for effect in effects(out).values()}
    names = [path.stem for path in published_heads[:2]]
    assert "mean" in columns
    assert f"{names[1]}:mean" in columns
    assert len(rows(out)) == 8 * 6
    page = (out / "audit.md").read_text()
    assert f"## {names[0]}: mean" in page
    assert f"## {names[1]}: mean" in page


def test_list_prints_the_groups(command) -> None:
    outcome = command("audit", "--list")
    assert outcome.code == 0
    for group in variants_module.GROUPS:
        assert f"\n{group} " in outcome.out


def test_an_unknown_group_is_refused_before_anything_is_loaded(command, songs, tmp_path) -> None:
    words = ("audit", songs, "--out", tmp_path / "out", "--variants", "gain,flanger")
    outcome = command(*words, "--model", "nowhere")
    assert outcome.code == 2
    assert "unknown variants flanger; known: gain, " in outcome.errors[0]


@pytest.fixture
def calibration(tmp_path, demo_scorer) -> Path:
    """A calibration of the demo head whose errors are 0.5 everywhere, or nearly so."""
    rng = np.random.default_rng(0)
    width = demo_scorer.scorer_set.heads["demo"].head.output.in_features
    pooled, preds = rng.normal(size=(60, width)), rng.uniform(1, 5, (60, 5))
    target = preds + rng.choice([-0.5, 0.5], preds.shape)
    known = demo_scorer.scorer_set.heads["demo"].calibrated_for(demo_scorer.model)
    made = Calibration.of(
        COLUMNS[:5],
        preds,
        target,
        cross_distance(pooled),
        ("",) * 60,
        ReferenceSongs.of(pooled),
        known,
    )
    made.write(tmp_path / "calibration.json")
    return tmp_path / "calibration.json"


def test_a_calibration_tells_changes_in_its_intervals(
    command, songs, tmp_path, calibration
) -> None:
    words = ("audit", songs, *MINI, "--out", tmp_path / "out", "--variants", "gain")
    command(*words)
    outcome = command(*words, "--calibration", calibration)  # nothing is scored again
    assert outcome.code == 0
    for (_, column), effect in effects(tmp_path / "out").items():
        if column != "mean":  # whose errors are not of one size
            assert effect["interval_share"] == pytest.approx(effect["absolute"] / 0.5, rel=1e-4)
    assert "half of its calibrated interval" in outcome.out


def test_a_calibration_of_another_head_is_refused(command, songs, tmp_path, calibration) -> None:
    text = json.loads(calibration.read_text())
    text["fingerprint"]["head"]["sha256"] = "0"
    write_text(calibration, json.dumps(text))
    words = ("--out", tmp_path / "out", "--calibration", calibration)
    outcome = command("audit", songs, *MINI, *words)
    assert outcome.code == 2
    assert "calibration.json: of another model or head" in outcome.errors[0]
    assert not (tmp_path / "out").exists()
