"""Whole runs of mixtures: kills, what is written, what is learned."""

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hear_aesthetics import load_model
from hear_aesthetics.errors import InputError
from hear_aesthetics.pretraining.config import PretrainingConfig
from hear_aesthetics.pretraining.initialization import InitialEncoder
from hear_aesthetics.pretraining.training import pretrain

ROOT = Path(__file__).parents[4]
RUN = """
import json, os, signal, sys
from pathlib import Path
import torch
from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.pretraining.config import PretrainingConfig, TargetConfig
from hear_aesthetics.pretraining.training import pretrain
from tests.hear_aesthetics.pretraining.made_pool import MadePool

folder, out, values = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
torch.set_num_threads(1)
config = PretrainingConfig(**values | {
    "targets": TargetConfig(**values["targets"]), "encoder": ConformerConfig(**values["encoder"])
})

def progress(stage, done, total):
    if (stage, done) == ("training", 5):
        os.kill(os.getpid(), signal.SIGKILL)

pretrain(config, MadePool(folder), out, progress=progress)
"""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights(out: Path) -> bytes:
    return (out / "muq" / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, made_pool, mixed):
    pretrain(mixed, made_pool, tmp_path / "whole")
    words = [sys.executable, "-c", RUN, made_pool.folder, tmp_path / "cut"]
    killed = subprocess.run(
        [*words, json.dumps(asdict(mixed))], env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=ROOT
    )
    assert killed.returncode == -signal.SIGKILL
    steps = []
    pretrain(
        mixed,
        made_pool,
        tmp_path / "cut",
        progress=lambda name, done, _: steps.append((name, done)),
    )
    assert steps == [("training", 5), ("training", 6)]
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


@pytest.mark.slow
def test_labels_are_learned_and_the_pair_embeds(tmp_path, made_pool, mixed: PretrainingConfig):
    encoder = replace(mixed.encoder, dim=32, ffn_dim=32, conv_channels=8)
    config = replace(mixed, steps=150, learning_rate=3e-3, evaluate_every=150, encoder=encoder)
    config = replace(config, augment=False, held_out_batches=4)
    for source in ("muq", "musicfm"):
        metrics = pretrain(replace(config, source=source), made_pool, tmp_path)
        with (tmp_path / source / "pretraining" / "log.csv").open() as file:
            start, end = csv.DictReader(file)
        assert float(start["phoneme"]) == pytest.approx(1.0, abs=0.2)
        assert float(end["phoneme"]) < 0.5
        assert float(end["drums"]) < 0.5
        assert float(end["loss"]) == metrics["loss"] < 0.8 * float(start["loss"])
        card = (tmp_path / source / "pretraining" / "README.md").read_text()
        assert f"phoneme {metrics['phoneme']:.3f}" in card
    model = load_model(str(tmp_path), device="cpu")
    assert (model.config.layer, model.config.delay_ms) == ([1, 2], 0)
    assert model.config.status == "trained on rendered audio"
    assert model.timestamp_embedding_size == 4 * 2 * 32
    assert model.features(torch.randn(1, 24_000)).isfinite().all()


class Bands:
    """Teacher whose embedding is the level of three bands."""

    name, licence, rate, dim, sha256 = "bands", "CC0", 24_000, 3, "7"
    of_speech = False

    def embed(self, waveforms):
        parts = waveforms[:, : waveforms.shape[1] // 1920 * 1920].reshape(len(waveforms), -1, 1920)
        power = np.abs(np.fft.rfft(parts)) ** 2
        levels = [np.log10(band.mean(-1) + 1e-3) for band in np.array_split(power, 3, axis=-1)]
        centres = 0.08 * (np.arange(parts.shape[1]) + 0.5)
        return np.stack(levels, axis=-1).astype(np.float32), centres


@pytest.mark.slow
def test_embeddings_of_a_teacher_are_learned(tmp_path, made_pool, mixed, monkeypatch):
    monkeypatch.setattr(
        "hear_aesthetics.pretraining.teachers.cache.load_teacher", lambda _: Bands()
    )
    values = {"objective": {"distil": 1.0}, "steps": 60, "learning_rate": 3e-3}
    config = replace(mixed, **values, augment=False, held_out_batches=4, evaluate_every=60)
    metrics = pretrain(config, made_pool, tmp_path)
    assert metrics["speech_embedding"] == pytest.approx(metrics["loss"], rel=0.01)
    assert metrics["loss"] < 0.6
    settings = json.loads((tmp_path / "muq" / "pretraining" / "config.json").read_text())
    assert settings["taught_by"] == {"speech_embedding": {"licence": "CC0", "sha256": "7"}}
    assert "speech_embedding (CC0" in (tmp_path / "muq" / "pretraining" / "README.md").read_text()


def test_weights_are_stored_as_float16_and_heads_are_not(tmp_path, made_pool, mixed):
    pretrain(mixed, made_pool, tmp_path)
    stored = load_file(tmp_path / "muq" / "model.safetensors")
    small = {tensor.dtype for tensor in stored.values() if tensor.dim() > 1}
    assert small == {torch.float16}
    assert stored["model.conformer.layer_norm.weight"].dtype == torch.float32
    kept = load_file(tmp_path / "muq" / "masked_prediction.safetensors")
    assert not [name for name in (*stored, *kept) if "heads" in name]
    model = load_model(str(tmp_path), sources=["muq"])
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_a_run_goes_on_from_a_pair_of_another_objective(tmp_path, made_pool, pool, mixed):
    alone = replace(mixed, objective=None)
    pretrain(alone, pool, tmp_path / "first")
    initial = InitialEncoder.read(str(tmp_path / "first"), "muq")
    config = replace(mixed, **{**initial.options(), "head_steps": 6})
    metrics = pretrain(config, made_pool, tmp_path / "second", initial=initial)
    assert set(metrics) >= {"loss_at_start", "phoneme", "masked_accuracy"}
    before, after = (
        InitialEncoder.read(str(tmp_path / name), "muq").backbone.published_state()
        for name in ("first", "second")
    )
    for name, tensor in before.items():  # heads alone were trained
        torch.testing.assert_close(after[name], tensor, rtol=1e-3, atol=1e-4)


def test_without_masked_prediction_neither_head_nor_codes_are_made(tmp_path, made_pool, mixed):
    stages = []
    config = replace(mixed, objective={"multitask": 1.0}, labels={"phoneme": 1.0})
    metrics = pretrain(config, made_pool, tmp_path, progress=lambda name, *_: stages.append(name))
    assert set(stages) == {"training"}
    assert not (tmp_path / "muq" / "masked_prediction.safetensors").exists()
    assert "- Targets: no codes." in (tmp_path / "muq/pretraining/README.md").read_text()
    assert "masked_loss" not in metrics
    assert "pitches" not in metrics
    assert metrics["loss"] == pytest.approx(metrics["phoneme"], rel=0.2)


def test_other_weights_are_another_run(tmp_path, made_pool, mixed):
    pretrain(mixed, made_pool, tmp_path)
    other = replace(mixed, labels={"pitches": 1.0})
    with pytest.raises(InputError, match=r"labels\.phoneme was 4\.0, now not recorded"):
        pretrain(other, made_pool, tmp_path)


def test_a_mixture_needs_a_pool_with_labels(tmp_path, pool, made_pool, mixed):
    with pytest.raises(InputError, match="need a pool with labels"):
        pretrain(mixed, pool, tmp_path)
    with pytest.raises(InputError, match="need a pool with labels"):
        pretrain(replace(mixed, objective=None), made_pool, tmp_path)


def test_phonemes_of_a_pool_without_speech_are_refused(tmp_path, made_pool, mixed):
    made_pool.phonemes = 0
    with pytest.raises(InputError, match="the pool has no phonemes; name other --labels"):
        pretrain(mixed, made_pool, tmp_path)
    pretrain(replace(mixed, labels={"pitches": 1.0}), made_pool, tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objective": {"contrast": 1.0}}, "unknown objective 'contrast'; choose of masked, mul"),
        ({"objective": {"multitask": 0.0}}, "objective multitask has the weight 0"),
        ({"labels": {"pitch": 1.0}}, "unknown label 'pitch'; choose of pitches, onsets"),
        ({"teachers": {"vggish": 1.0}}, "unknown teacher 'vggish'; choose of speech_embedding"),
        ({"states": (1, 9)}, r"states \(1, 9\); the encoder has 0 to 2"),
    ],
)
def test_what_is_unknown_is_told_in_one_line(mixed, values, message):
    with pytest.raises(InputError, match=message):
        replace(mixed, **values)
