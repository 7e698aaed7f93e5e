"""``hear-aesthetics pretrain``: its options, what it says, and that it goes on."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from typer.main import get_command
from typer.testing import CliRunner, Result

from hear_aesthetics.commands.pretrain import pretrain
from hear_aesthetics.errors import InputError
from hear_aesthetics.pretraining.config import LABEL_WEIGHTS
from tests.hear_aesthetics.pretraining.made_pool import MadePool, write_pool

OPTIONS = {
    "--steps": 2,
    "--batch": 1,
    "--seconds": 0.8,
    "--pool-hours": 0.01,
    "--precision": "float32",
    "--device": "cpu",
    "--size": "dim=16,depth=1,heads=2,ffn_dim=16,conv_channels=4",
    "--targets": "codes=8,rvq_steps=2",
}
TINY = [str(word) for option in OPTIONS.items() for word in option]


def app_of(command: Callable[..., None]) -> typer.Typer:
    app = typer.Typer()
    app.command()(command)
    return app


@pytest.fixture
def run() -> Callable[..., Result]:
    app = app_of(pretrain)

    def invoke(*words: object) -> Result:
        return CliRunner().invoke(app, [*TINY, *map(str, words)])

    return invoke


def test_an_encoder_is_trained_and_its_figures_are_told(run, tmp_path: Path):
    result = run("--source", "muq", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "2 steps" in result.stdout
    assert (tmp_path / "muq" / "model.safetensors").is_file()
    assert (tmp_path / "pool" / "pool.npy").is_file()
    again = run("--source", "muq", "--out", tmp_path, "--json")
    assert json.loads(again.stdout)["step"] == 2


def test_recordings_of_ones_own_are_used_and_said_to_be(run, tmp_path: Path):
    audio = tmp_path / "audio"
    audio.mkdir()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 20 * 8000)
    soundfile.write(audio / "noise.wav", noise, 8000)
    result = run("--source", "musicfm", "--out", tmp_path / "out", "--audio", audio)
    assert result.exit_code == 0, result.output
    about = json.loads((tmp_path / "out" / "hear_aesthetics.json").read_text())
    assert about["status"] == "trained on audio of its user"


def test_a_pool_of_other_settings_is_replaced_only_on_demand(run, tmp_path: Path):
    words = "--source", "muq", "--out", tmp_path
    run(*words)
    result = run(*words, "--seed", 2)
    assert isinstance(result.exception, InputError)
    assert "pool: made with other settings or data (seed was 1, now 2)" in str(result.exception)
    assert run(*words, "--seed", 2, "--overwrite").exit_code == 0


def test_a_run_from_an_encoder_says_where_it_started(
    run, tmp_path: Path, tiny_model_directory: Path
):
    words = "--source", "musicfm", "--init", tiny_model_directory
    result = run(*words, "--out", tmp_path)
    assert isinstance(result.exception, InputError)
    assert "leave --size out, it follows from --init" in str(result.exception)
    assert not list(tmp_path.iterdir())
    short = ["--steps", 1, "--batch", 1, "--seconds", 0.8, "--pool-hours", 0.01, "--device", "cpu"]
    app = typer.Typer()
    app.command()(pretrain)
    result = CliRunner().invoke(app, [*map(str, (*words, "--out", tmp_path / "out", *short))])
    assert result.exit_code == 0, result.output
    assert "(0.0000 at step 0)" in result.stdout
    settings = json.loads((tmp_path / "out/musicfm/pretraining/config.json").read_text())
    assert (settings["learning_rate"], settings["augment"]) == (2e-5, False)
    assert set(settings["init"]) == {"sha256", "mel_mean", "mel_std"}


def test_labels_are_learned_from_a_pool_that_has_them(run, tmp_path: Path):
    pool = MadePool(tmp_path / "made")
    pool.folder.mkdir()
    write_pool(pool)
    mixture = "--objective", "multitask=1,masked=0.2", "--labels", "phoneme,pitches=0.5"
    words = "--source", "muq", *mixture, "--pool", pool.folder, "--states", "1"
    result = run(*words, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "1 for the best constant guess" in result.stdout
    settings = json.loads((tmp_path / "out/muq/pretraining/config.json").read_text())
    assert settings["labels"] == {"phoneme": 1.0, "pitches": 0.5}
    assert settings["states"] == [1]
    about = json.loads((tmp_path / "out/hear_aesthetics.json").read_text())
    assert (about["layer"], about["delay_ms"]) == (1, 0)
    (pool.folder / "chunk-0001.npy").unlink()
    result = run(*words, "--out", tmp_path / "other")
    assert isinstance(result.exception, InputError)
    assert "chunk-0001.npy" in str(result.exception)


def test_the_help_tells_the_weights_of_the_labels():
    told = next(
        option for option in get_command(app_of(pretrain)).params if option.name == "labels"
    ).show_default
    for source, weights in LABEL_WEIGHTS.items():
        listed = ",".join(f"{name}={weight:g}" for name, weight in weights.items())
        assert f"{source}: {listed}" in told.replace("; ", "\n").splitlines()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--targets", "codes=none"), "names: codebooks"),
        (("--seconds", "0.5"), "multiple of"),
        (("--objective", "contrast"), "unknown objective 'contrast'"),
        (("--objective", "multitask=much"), "write NAME=WEIGHT, such as multitask=0.5"),
        (("--objective", "distil", "--teachers", "yamnet"), "unknown teacher 'yamnet'"),
        (("--objective", "multitask", "--labels", "mood"), "unknown label 'mood'"),
        (("--objective", "multitask", "--audio", "songs"), "leave --audio out"),
        (("--objective", "multitask"), "no pool with labels"),
    ],
)
def test_wrong_settings_are_told_in_one_line(run, tmp_path: Path, words, message):
    result = run("--source", "muq", "--out", tmp_path, *words)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert not list(tmp_path.iterdir())
