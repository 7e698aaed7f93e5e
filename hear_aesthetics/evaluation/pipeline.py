"""Evaluation of one embedding folder, whoever wrote it, in one call."""

import time
from pathlib import Path
from typing import Any

import torch

from hear_aesthetics.compute.precision import PRECISIONS, auto_precision, usable_device
from hear_aesthetics.engine.progress import ProgressCallback, no_progress
from hear_aesthetics.errors import InputError
from hear_aesthetics.evaluation.embeddings.rows import embedding_size
from hear_aesthetics.evaluation.probes import grid as grids
from hear_aesthetics.evaluation.probes.official import evaluate_officially
from hear_aesthetics.evaluation.probes.robust import evaluate_robustly
from hear_aesthetics.evaluation.results.files import finished, write_results
from hear_aesthetics.evaluation.results.interval import robust_statement
from hear_aesthetics.evaluation.results.task_result import TaskResult, read_result
from hear_aesthetics.evaluation.tasks.task import EmbeddedTask, load_task
from hear_aesthetics.files import remove_leftovers

__all__ = ["PROTOCOLS", "evaluate_embeddings"]

PROTOCOLS = ("robust", "official")
# glibc keeps freed blocks smaller than the largest one it has ever unmapped, up to 32 MiB
_LARGE_BLOCK = 2**25 - 2**16


def evaluate_embeddings(
    folder: str | Path,
    *,
    protocol: str = "robust",
    grid: str = "default",
    grid_points: int = 8,
    seeds: int = 3,
    device: str | None = None,
    precision: str = "auto",
    overwrite: bool = False,
    progress: ProgressCallback = no_progress,
) -> TaskResult:
    """Train probes on one task's embeddings, test them, and write the scores into the folder.

    Args:
        folder: A task's embedding folder in heareval's layout.
        protocol: ``"robust"``, or ``"official"`` for heareval's own training and selection.
        grid: ``"default"``, ``"fast"`` or ``"faster"``.
        grid_points: Number of points of the grid that are tried.
        seeds: Number of repetitions (robust protocol only).
        device: Device to train on (robust protocol only); None for a GPU if there is one. The
            official protocol trains on the processor, with heareval's random numbers.
        precision: Precision of matrix products (robust protocol only): ``"float32"``,
            ``"bfloat16"``, or ``"auto"`` for bfloat16 where the hardware multiplies it faster.
        overwrite: Evaluate even if the folder holds the results of the same settings.
        progress: Called with the number of fits done and of all fits.

    Returns:
        The result that is then in the folder.

    Raises:
        InputError: If an option has a wrong value; lists the right ones.
        TaskError: If the folder is incomplete or broken; names the file.
    """
    _check_options(protocol, precision, seeds)
    task = EmbeddedTask(load_task(Path(folder)))
    remove_leftovers(task.folder, recursive=False)  # below lie embeddings, one file per clip
    embedding_size(task)
    points = grids.grid_points(task, grid, grid_points)
    settings: dict[str, Any] = {"protocol": protocol, "grid": grid, "grid_points": grid_points}
    target = usable_device(device)
    dtype = PRECISIONS[precision] or auto_precision(target)
    if protocol == "robust":
        used = str(dtype).removeprefix("torch.")
        settings |= {"seeds": seeds, "precision": used, "device": target.type}
    if not overwrite and finished(task, settings):
        return read_result(task.folder)
    _keep_freed_memory()
    start = time.perf_counter()
    if protocol == "official":
        results = evaluate_officially(task, points, progress)
    else:
        results = evaluate_robustly(task, points, seeds, progress, device=target, dtype=dtype)
    robust = robust_statement(task, results, settings) if protocol == "robust" else None
    write_results(task, results, settings, time.perf_counter() - start, robust)
    return read_result(task.folder)


def _check_options(protocol: str, precision: str, seeds: int) -> None:
    if protocol not in PROTOCOLS:
        raise InputError(f"unknown protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}")
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision {precision!r}; choose one of {', '.join(PRECISIONS)}")
    if seeds < 1:
        raise InputError(f"{seeds} seeds; ask for at least 1, the default is 3")


def _keep_freed_memory() -> None:
    """Make the allocator keep freed memory, where it is glibc's.

    A training step frees and takes tens of megabytes; handing them to the system and back costs a
    page fault per 4 KiB, a tenth of the time of a small fit.
    """
    block = torch.empty(_LARGE_BLOCK, dtype=torch.uint8)
    del block
