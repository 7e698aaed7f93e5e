"""Whole runs: the same seed, kills, what is written, what is learned."""

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from hear_aesthetics import load_model
from hear_aesthetics.compute.processes import Processes
from hear_aesthetics.engine.progress import no_progress
from hear_aesthetics.errors import InputError
from hear_aesthetics.pretraining.config import PretrainingConfig
from hear_aesthetics.pretraining.data.pool import Pool
from hear_aesthetics.pretraining.loop import Pretraining, learning_rate
from hear_aesthetics.pretraining.objective import MaskedPrediction
from hear_aesthetics.pretraining.training import pretrain

RUN = """
import json, os, signal, sys
from pathlib import Path
import torch
from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.pretraining.config import PretrainingConfig, TargetConfig
from hear_aesthetics.pretraining.data.pool import open_pool
from hear_aesthetics.pretraining.training import pretrain

pool, out, values, kill_at = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]), 5
torch.set_num_threads(1)
config = PretrainingConfig(**values | {
    "targets": TargetConfig(**values["targets"]), "encoder": ConformerConfig(**values["encoder"])
})

def progress(stage, done, total):
    if (stage, done) == ("training", kill_at):
        os.kill(os.getpid(), signal.SIGKILL)

pretrain(config, open_pool(pool, None, 3, 6), out, progress=progress)
"""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights(out: Path, config: PretrainingConfig) -> bytes:
    return (out / config.source / "model.safetensors").read_bytes()


def test_the_same_seed_gives_the_same_weights_to_the_byte(tmp_path, pool: Pool, config):
    for name in "ab":
        pretrain(config, pool, tmp_path / name)
    assert weights(tmp_path / "a", config) == weights(tmp_path / "b", config)


def test_another_seed_gives_other_weights(tmp_path, pool: Pool, tiny):
    for seed in (1, 2):
        pretrain(replace(tiny, seed=seed), pool, tmp_path / str(seed))
    assert weights(tmp_path / "1", tiny) != weights(tmp_path / "2", tiny)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path, pool: Pool, config):
    pretrain(config, pool, tmp_path / "whole")
    folder, cut = Path(pool.clips.filename).parent, tmp_path / "cut"
    words = [sys.executable, "-c", RUN, folder, cut, json.dumps(asdict(config))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    assert subprocess.run(words, env=environment).returncode == -signal.SIGKILL
    assert not (cut / config.source / "model.safetensors").exists()
    steps = []
    pretrain(config, pool, cut, progress=lambda stage, done, total: steps.append((stage, done)))
    assert steps == [("training", 5), ("training", 6)]  # from the checkpoint of step 4
    assert weights(cut, config) == weights(tmp_path / "whole", config)


def test_a_finished_run_is_not_trained_again(tmp_path, pool: Pool, tiny):
    first = pretrain(tiny, pool, tmp_path)
    steps = []
    again = pretrain(tiny, pool, tmp_path, progress=lambda *a: steps.append(a))
    assert not steps
    assert again == first


def test_a_run_of_other_settings_is_not_continued(tmp_path, pool: Pool, tiny):
    pretrain(tiny, pool, tmp_path)
    with pytest.raises(InputError, match=r"learning_rate was 0\.001, now 0\.5.*--overwrite"):
        pretrain(replace(tiny, learning_rate=0.5), pool, tmp_path)
    pretrain(replace(tiny, learning_rate=0.5), pool, tmp_path, resume=False)


def test_when_a_run_looks_and_saves_decides_nothing(tmp_path, pool: Pool, tiny):
    pretrain(tiny, pool, tmp_path)
    steps = []
    other = replace(tiny, save_every=1, evaluate_every=2, snapshot_every=1)
    pretrain(other, pool, tmp_path, progress=lambda *a: steps.append(a))
    assert not steps


def test_a_checkpoint_of_an_earlier_version_is_resumed(tmp_path, pool: Pool, config):
    whole = pretrain(config, pool, tmp_path / "whole")
    folder = tmp_path / "cut" / config.source / "pretraining" / "state"

    def stop(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("training", 5):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(config, pool, tmp_path / "cut", progress=stop)
    values = torch.load(folder / "checkpoint.pt")
    values["optimiser"] = values.pop("optimizer")
    values["model"] = {
        name.replace("quantizer", "quantiser"): value for name, value in values["model"].items()
    }
    for row in values["history"]:
        row |= {"commonest": row.pop("majority_share"), "ratio": row.pop("lift")}
    torch.save(values, folder / "checkpoint.pt")
    assert pretrain(config, pool, tmp_path / "cut")["lift"] == whole["lift"]
    assert weights(tmp_path / "cut", config) == weights(tmp_path / "whole", config)


def test_a_torn_checkpoint_is_an_error_with_a_remedy(tmp_path, pool: Pool, tiny):
    pretrain(tiny, pool, tmp_path)
    path = tmp_path / "musicfm" / "pretraining" / "state" / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"checkpoint\.pt.*--overwrite"):
        pretrain(tiny, pool, tmp_path)


def test_both_sources_make_a_model_directory_that_loads(tmp_path, pool: Pool, tiny):
    for source in ("muq", "musicfm"):
        pretrain(replace(tiny, source=source, snapshot_every=6), pool, tmp_path)
    for folder in (tmp_path, tmp_path / "snapshots" / "step-000006"):
        model = load_model(str(folder), device="cpu")
        assert model.timestamp_embedding_size == 4 * tiny.encoder.dim
        assert model.config.layer == tiny.encoder.depth
        assert model.config.status == "trained on synthetic music"
        assert set(model.config.provenance) == {"muq", "musicfm"}
        assert model.features(torch.randn(1, 24_000)).isfinite().all()


def test_the_log_begins_before_training_and_ends_with_the_last_step(tmp_path, pool: Pool, tiny):
    metrics = pretrain(tiny, pool, tmp_path)
    folder = tmp_path / "musicfm" / "pretraining"
    with (folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["0", "3", "6"]
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert f"accuracy {metrics['accuracy']:.4f}" in (folder / "README.md").read_text()
    assert metrics["hours_of_audio"] == pytest.approx(6 * 2 * 0.8 / 3600)


def test_memory_that_does_not_suffice_is_an_error_with_a_remedy(
    tmp_path, pool: Pool, tiny, monkeypatch
):
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(MaskedPrediction, "forward", fail)
    with pytest.raises(InputError, match=r"no memory for 2 x 0\.8 s of audio.*--micro-batch"):
        pretrain(tiny, pool, tmp_path)


def test_with_frozen_batch_norms_micro_batches_learn_from_all_clips(tmp_path, pool: Pool, tiny):
    """The gradient is the mean of theirs: two of one clip, drawn twice, are that clip alone."""
    found = []
    for name, batch in (("one", 1), ("two", 2)):
        config = replace(tiny, batch=batch, micro_batch=1, batch_norm="frozen", steps=1)
        run = Pretraining(config, pool, tmp_path / name, Processes(), no_progress, None)
        draw = run._predict
        run._predict = lambda purpose, _, draw=draw, **options: draw(purpose, 0, **options)
        run._update()
        found.append([p.grad for p in run.parameters])
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second)


def test_the_learning_rate_rises_then_falls_to_a_twentieth(tiny):
    config = replace(tiny, steps=100, warmup=10, learning_rate=1.0)
    rates = [learning_rate(config, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == rates[9] == 1.0
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))
    assert rates[100] == pytest.approx(0.05)
