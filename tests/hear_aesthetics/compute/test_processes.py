"""One process without a launcher, and what launchers get wrong; tests of commands start several."""

import logging

import pytest
import torch

from hear_aesthetics.compute.processes import Processes, is_main_process, joined_processes
from hear_aesthetics.errors import InputError

LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "ACCELERATE_USE_CPU")


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in LAUNCHER:
        monkeypatch.delenv(name, raising=False)


def test_without_a_launcher_one_process_does_all():
    with joined_processes("cpu") as processes:
        assert (processes.rank, processes.count, processes.is_main) == (0, 1, True)
        assert processes.share(range(5)) == range(5)
        assert torch.equal(processes.sum(torch.ones(2)), torch.ones(2))
        processes.wait()
    assert is_main_process()


def test_shares_hold_every_item_once():
    shares = [Processes(rank, 3).share(range(8)) for rank in range(3)]
    assert [len(share) for share in shares] == [3, 3, 2]
    assert sorted(item for share in shares for item in share) == list(range(8))


def test_micro_batches_that_cannot_be_shared_evenly_are_refused():
    Processes(0, 2).check_share(4, 8)
    with pytest.raises(InputError, match="2 processes cannot share the 1 micro-batch of an update"):
        Processes(0, 2).check_share(1, 4)
    with pytest.raises(InputError, match="take --micro-batch 1 and a --batch of a multiple of 4"):
        Processes(0, 4).check_share(3, 6)


def test_a_launcher_that_starts_one_process_is_told_of(monkeypatch, caplog):
    """As `accelerate launch --cpu --num_processes 2` does where there is no MPI."""
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with caplog.at_level(logging.WARNING), joined_processes("cpu") as processes:
        assert processes.count == 1
    assert "the launcher started one process" in caplog.text


def test_the_processor_is_taken_where_accelerate_says_so(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    with joined_processes() as processes:
        assert processes.device == torch.device("cpu")
