"""Pretraining of an encoder: the run that the settings ask for, in one process or several."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hear_aesthetics.compute.precision import auto_precision
from hear_aesthetics.compute.processes import Processes
from hear_aesthetics.engine.progress import no_progress
from hear_aesthetics.errors import InputError
from hear_aesthetics.pretraining.config import PretrainingConfig
from hear_aesthetics.pretraining.data.pool import Pool
from hear_aesthetics.pretraining.initialization import InitialEncoder
from hear_aesthetics.pretraining.loop import Pretraining, Progress
from hear_aesthetics.pretraining.supervised.pool import LabelledPool
from hear_aesthetics.pretraining.supervised.run import MixedPretraining

__all__ = ["pretrain"]

NO_MEMORY = "allocate memory"  # in the processor's error, which has no class of its own


def pretrain(
    config: PretrainingConfig,
    pool: Pool | LabelledPool,
    out: Path,
    *,
    device: torch.device | str = "cpu",
    resume: bool = True,
    progress: Progress = no_progress,
    initial: InitialEncoder | None = None,
    processes: Processes | None = None,
) -> dict[str, Any]:
    """Train an encoder and write it into the model directory ``out``.

    Args:
        config: Settings; with ``initial``, over its options.
        pool: Training audio; with labels, where ``config.objective`` is not masked prediction
            alone.
        out: Model directory.
        device: Device of this process, unless ``processes`` say it.
        resume: Go on with a run that was interrupted in ``out``.
        progress: Called with the stage, its steps done and in all.
        initial: Encoder to start from; None: random weights.
        processes: Processes that share every update; None: this one alone.

    Returns:
        The content of ``metrics.json``: metrics of the last evaluation, time and speed.

    Raises:
        InputError: If the checkpoint in ``out`` belongs to other settings, ``initial`` or ``pool``
            does not fit them, the processes cannot share an update evenly, or memory does not
            suffice.
    """
    processes = processes or Processes(device=torch.device(device))
    if config.precision == "auto":
        name = str(auto_precision(processes.device)).removeprefix("torch.")
        config = replace(config, precision=name)
    processes.check_share(config.micro_batches, config.batch)
    if initial:
        initial.check(config, out)
    if isinstance(pool, Pool) != (config.objective is None):
        raise InputError("labels and teachers need a pool with labels; masked prediction none")
    with _enough_memory(config, processes.device):
        run: Pretraining
        if isinstance(pool, Pool):
            run = Pretraining(config, pool, out, processes, progress, initial)
        else:
            run = MixedPretraining(config, pool, out, processes, progress, initial)
        run.prepare(resume)
        return run.train()


@contextmanager
def _enough_memory(config: PretrainingConfig, device: torch.device) -> Iterator[None]:
    """Turn the error of a device without memory into one that says what takes less."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and NO_MEMORY not in str(error):
            raise
        raise InputError(
            f"{device}: no memory for {config.clips_at_once} x {config.seconds:g} s of audio at "
            "once; take a smaller --micro-batch, whatever --batch is, or shorter --seconds"
        ) from error
