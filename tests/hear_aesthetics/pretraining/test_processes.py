"""Several processes: the same encoder as one, whatever is interrupted, and one that speaks."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.hear_aesthetics.pretraining.made_pool import MadePool, write_pool

pytestmark = pytest.mark.slow  # processes start

RATE, STEPS = 1e-3, 6
SETTINGS = [
    *["--steps", STEPS, "--batch", 4, "--micro-batch", 1, "--seconds", "0.8"],
    *["--learning-rate", RATE, "--precision", "float32", "--device", "cpu"],
    *["--pool-hours", "0.02", "--evaluate-every", 3, "--save-every", 1],
]
SIZES = [
    *["--size", "dim=16,depth=1,heads=2,ffn_dim=16,conv_channels=4"],
    *["--targets", "codebooks=2,codes=8,code_dim=4,rvq_steps=20,rvq_frames=64"],
]

Words = Callable[[str, Path], list[object]]


@pytest.fixture(scope="module")
def words(tiny_model_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Words:
    """The command for a source: MuQ from random weights, MusicFM from a published layout."""
    pool = tmp_path_factory.mktemp("pool")

    def command(source: str, out: Path) -> list[object]:
        start = SIZES if source == "muq" else ["--init", tiny_model_directory]
        return ["pretrain", "--source", source, "--out", out, "--pool", pool, *start, *SETTINGS]

    return command


@pytest.fixture(scope="module")
def whole(words, tmp_path_factory: pytest.TempPathFactory, run_in) -> Path:
    """Both runs in one process, from beginning to end."""
    out = tmp_path_factory.mktemp("whole")
    for source in ("muq", "musicfm"):
        run_in(words(source, out))
    return out


def log(out: Path, source: str) -> pd.DataFrame:
    return pd.read_csv(out / source / "pretraining" / "log.csv").drop(columns="seconds")


def expect_equal(one: Path, two: Path, source: str) -> None:
    """Metrics are equal, and weights but for those whose gradient is nothing but rounding.

    Adam takes a step of the learning rate whatever the size of a gradient. Biases before a batch
    norm and those of the keys of attention change no output, so what moves them is rounding.
    """
    pd.testing.assert_frame_equal(log(one, source), log(two, source), rtol=1e-4)
    first, second = (load_file(out / source / "model.safetensors") for out in (one, two))
    gaps = torch.cat([(first[name] - second[name]).abs().flatten() for name in first])
    assert (gaps < 1e-5).float().mean() > 0.98
    moved = [name for name in first if (first[name] - second[name]).abs().max() >= 1e-5]
    assert all("conv.conv" in name or "linear_k.bias" in name for name in moved), moved
    assert gaps.max() < 2 * RATE * STEPS


@pytest.mark.parametrize("source", ["muq", "musicfm"])
def test_two_processes_end_as_one_does(source, words, whole, tmp_path, run_in):
    said = run_in(words(source, tmp_path), 2)
    assert said.count("held-out accuracy") == 1, said
    expect_equal(whole, tmp_path, source)


def test_two_processes_of_a_mixture_end_as_one_does(tmp_path, run_in):
    pool = MadePool(tmp_path)
    write_pool(pool)
    words = ["pretrain", "--source", "muq", "--objective", "multitask=1,masked=0.2", *SETTINGS]
    words += [*SIZES, "--pool", pool.folder]
    run_in([*words, "--out", tmp_path / "one"])
    said = run_in([*words, "--out", tmp_path / "two"], 2)
    assert said.count("held-out loss") == 1, said
    expect_equal(tmp_path / "one", tmp_path / "two", "muq")


def test_a_killed_process_ends_all_and_the_run_goes_on_in_one(
    words, whole, tmp_path, launch, run_in
):
    process = launch(words("musicfm", tmp_path), 2)
    state = tmp_path / "musicfm" / "pretraining" / "state" / "checkpoint.pt"
    while not state.is_file():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    workers = children(process.pid)
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert not (tmp_path / "musicfm" / "model.safetensors").exists()
    run_in(words("musicfm", tmp_path))
    expect_equal(whole, tmp_path, "musicfm")


def children(parent: int) -> list[int]:
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return sorted(int(child) for child in text.split())


def test_processes_that_cannot_share_an_update_say_what_to_take(words, tmp_path, launch):
    process = launch([*words("muq", tmp_path), "--micro-batch", 4], 2)
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "take --micro-batch 2" in said
