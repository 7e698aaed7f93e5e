"""Checkpoints: whole, exact, and never confused with what a killed run left."""

import pytest
import torch

from hear_aesthetics.errors import InputError
from songeval_task.training.resume import Progress, RunState


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    progress = Progress(epoch=2, update=3, updates=19, losses=[0.25], best_score=0.5)
    RunState(tmp_path).save(progress, {"head": {"weight": torch.ones(2)}})
    again, parts = RunState(tmp_path).load()
    assert again == progress
    assert parts["head"]["weight"].tolist() == [1.0, 1.0]


def test_nothing_is_there_before_the_first_checkpoint(tmp_path):
    assert RunState(tmp_path).load() is None


def test_only_the_best_head_that_the_checkpoint_names_is_kept(tmp_path):
    state = RunState(tmp_path)
    for number, name in enumerate(["best-1.safetensors", "best-2.safetensors"]):
        state.save_best(name, {"weight": torch.full((1,), float(number))})
    progress = Progress(best_file="best-1.safetensors")
    state.save(progress, {})
    assert state.load_best(progress)["weight"].item() == 0.0
    assert not (tmp_path / "best-2.safetensors").exists()


def test_half_written_files_of_a_killed_run_are_removed(tmp_path):
    (tmp_path / ".checkpoint.pt.123.partial").write_bytes(b"half")
    RunState(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_damaged_checkpoint_is_named_with_its_remedy(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="start over with --overwrite"):
        RunState(tmp_path).load()
