"""One training run in one folder, from configuration to figures.

The folder holds the head (``model.safetensors``, ``config.json``, the model card ``README.md``),
its ``predictions.csv`` for the valid and the test songs (float32), ``metrics.json``, ``log.csv``,
TensorBoard events and ``state/``; where 50 or more songs select, ``calibration.json`` too. The test
songs are scored once, by the head that was selected. ``metrics.json`` is written last: where it is,
the run is complete.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from accelerate import Accelerator

from hear_aesthetics.errors import InputError
from hear_aesthetics.files import json_text, remove_leftovers, write_text
from hear_aesthetics.fingerprint import is_finished
from hear_aesthetics.version import __version__
from songeval_task.protocol import SongPredictions, evaluate
from songeval_task.training.calibrate import calibrate_run
from songeval_task.training.config import SongEvalConfig, TrainableHead, build_head
from songeval_task.training.data import TrainingData, load_data
from songeval_task.training.logs import Logs, ProgressLine
from songeval_task.training.loop import Trainer, make_accelerator
from songeval_task.training.predict import predict
from songeval_task.training.resume import Progress, RunState
from songeval_task.training.saved_head import SavedHead
from songeval_task.training.standardize import fold, unfold
from songeval_task.uncertainty.calibration import FILE_NAME

__all__ = ["METRICS_FILE", "PREDICTIONS_FILE", "fit_head", "train_run"]

METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.csv"
STATE_FOLDER = "state"
RECORD_FILE = "run.json"


def train_run(
    config: SongEvalConfig,
    prepared: Path,
    features: Path,
    out: Path,
    *,
    init: SavedHead | None = None,
    resume: bool = True,
    shown: bool | None = None,
) -> dict[str, Any]:
    """Train a head, or go on with a run that was interrupted.

    Args:
        config: The configuration.
        prepared: Folder of ``songeval prepare``.
        features: Folder of ``songeval features``.
        out: The run's folder; a complete run of the same configuration is returned as it is.
        init: Head whose weights are where training starts; None: random ones.
        resume: Go on with what is there; False: start over.
        shown: Whether to draw progress; None: on a terminal.

    Returns:
        The contents of ``metrics.json``.

    Raises:
        InputError: If data or features are missing, the initial head does not fit the
            configuration, or the folder holds another run.
    """
    if out.resolve() in (prepared.resolve(), features.resolve()):
        raise InputError(f"{out}: holds what the run learns from; take another --out")
    data = load_data(prepared, features, config)
    if config.shuffle_labels:
        data = data.with_shuffled_labels(config.seed)
    accelerator = make_accelerator(config)
    record, result = out / STATE_FOLDER / RECORD_FILE, out / METRICS_FILE
    start = init.start(config, data.width) if init else None
    with torch.device("meta"):  # wrong sizes are refused before the run is recorded
        build_head(config, data.width)
    made = {"training": asdict(config), "data": data.fingerprint()}
    if init:
        made["init"] = init.head.fingerprint()
    if accelerator.is_main_process:
        if not resume and (record.is_file() or result.is_file()):
            shutil.rmtree(out)
        remove_leftovers(out)
        origin = {"version": __version__, "data": str(prepared.resolve())}
        is_finished(result, record, made, origin)
    accelerator.wait_for_everyone()
    if result.is_file():
        metrics: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return metrics
    line = ProgressLine(config.epochs, shown if accelerator.is_main_process else False)
    head, progress = fit_head(config, data, out, accelerator, start=start, line=line)
    reported = [split for split in ("valid", "test") if data.splits[split]]
    found = {split: predict(head, data, split) for split in reported}
    figures = {
        "track": config.track,
        "seed": config.seed,
        "epochs": progress.epoch,
        "updates": progress.updates,
        "best_epoch": progress.best_epoch + 1,
        "selected_on": config.select_on,
        "selection_score": progress.best_score,
        **{split: evaluate(predictions) for split, predictions in found.items()},
    }
    if accelerator.is_main_process:
        head.save_pretrained(out, _provenance(config, data, figures, init))
        figures["calibration"] = _calibrate(head, data, config, found.get("valid"), out)
        tables = [part.table().assign(split=split) for split, part in found.items()]
        write_text(out / PREDICTIONS_FILE, pd.concat(tables).to_csv(index=False))
        write_text(result, json_text(figures))
    written: dict[str, Any] = json.loads(json_text(figures))  # as the next call reads it
    return written


def fit_head(
    config: SongEvalConfig,
    data: TrainingData,
    out: Path,
    accelerator: Accelerator,
    *,
    start: TrainableHead | None = None,
    line: ProgressLine | None = None,
) -> tuple[TrainableHead, Progress]:
    """Train a head; return it with the weights that were selected, for features as stored.

    Args:
        config: The configuration.
        data: Songs with their features, by split.
        out: Folder of checkpoints and logs; what is there is resumed.
        accelerator: Device, autocast and processes.
        start: Head to start from, trained in place; None: random weights.
        line: Shows the progress.
    """
    head = start or build_head(config, data.width)
    seen = data.standardized() if config.standardize else data
    if start and seen.standardizer:
        unfold(head, seen.standardizer)
    logs = Logs(out, events=accelerator.is_main_process)
    progress = Trainer(config, seen, head, RunState(out / STATE_FOLDER), logs, accelerator).fit(
        line or ProgressLine(config.epochs, shown=False)
    )
    if seen.standardizer:
        fold(head, seen.standardizer)
    return head, progress


def _calibrate(
    head: TrainableHead,
    data: TrainingData,
    config: SongEvalConfig,
    valid: SongPredictions | None,
    out: Path,
) -> str:
    """Write the calibration of a run; return its file's name, or why there is none."""
    if valid is None:
        return "none: no songs select the head"
    try:
        calibrate_run(head, data, config, valid).write(out / FILE_NAME)
    except InputError as error:  # too few songs, or songs that do not differ
        return f"none: {error}"
    return FILE_NAME


def _provenance(
    config: SongEvalConfig,
    data: TrainingData,
    figures: dict[str, Any],
    init: SavedHead | None,
) -> dict[str, Any]:
    """Return what the model card and the weights say of their origin."""
    mean = figures["test"]["utterance"]["mean"]
    return {
        "status": "trained",
        "reads": config.features,
        **({"init": init.file, "init sha256": init.sha256} if init else {}),
        "features stored as": data.store.fingerprint().get("dtype", "not known"),
        "seed": config.seed,
        "selected on": f"{config.select_on} songs, epoch {figures['best_epoch']}",
        "test songs": figures["test"]["utterance"]["count"],
        **{f"test {name}": round(value, 4) for name, (value, _, _) in mean.items()},
        "labels": "shuffled: a control experiment" if config.shuffle_labels else "as rated",
        "version": __version__,
        "torch": torch.__version__,
        **data.provenance,
        "training": asdict(config),
    }
