"""Predictions of a run, and their files: Parquet, or the released exchange format.

Columns in Parquet: ``clip, system, split``, and for each of ``overall`` and ``textual`` the true
score (null where it is secret), ``<target>_score`` and ``<target>_dist``, 20 probabilities on
``linspace(1, 5)`` (null for a model that predicts no distribution).

The exchange format is a ``.pt`` with a dict, id of a clip -> dict of ``wavname_with_ext,
overall_score, textual_score, overall_dist, textual_dist`` (the last two None for a model that
predicts no distribution). A list of such dicts, which earlier versions wrote, is read too. It is a
pickle, read by a loader that builds nothing but numbers, strings, lists, dicts and arrays.
"""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hear_aesthetics.errors import InputError
from hear_aesthetics.files import atomic_file
from musiceval_task.data.dataset import MusicEvalClip, clip_id, system_of
from musiceval_task.scale import BINS, TARGETS

__all__ = ["FILE_NAME", "ClipPredictions", "read_predictions", "write_predictions"]

FILE_NAME = "predictions.parquet"  # in a run folder
NAME = "wavname_with_ext"
# What a pickled array is rebuilt from; none of it runs code of the file. NumPy 2 renamed its core.
REBUILDERS: tuple[Any, ...] = (np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0])
NUMPY: list[Any] = [
    *(np.ndarray, np.dtype, type(np.dtype(np.float32)), type(np.dtype(np.float64))),
    *(
        (function, f"numpy.{core}.multiarray.{function.__name__}")
        for function in REBUILDERS
        for core in ("core", "_core")
    ),
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ClipPredictions:
    """Predicted and true scores of clips.

    Attributes:
        clips: Names of the clips.
        systems: System of each clip.
        splits: Split of each clip.
        scores: Predicted scores, ``(clips, 2)``, in the order of ``TARGETS``.
        truth: Mean opinion scores of the listeners, ``(clips, 2)``; NaN where unknown.
        distributions: Predicted distributions, ``(clips, 2, BINS)``; None if there are none.
    """

    clips: tuple[str, ...]
    systems: tuple[str, ...]
    splits: tuple[str, ...]
    scores: Array
    truth: Array
    distributions: Array | None = None

    @classmethod
    def of(
        cls, clips: Sequence[MusicEvalClip], scores: Any, distributions: Any = None
    ) -> "ClipPredictions":
        """Return predictions for the clips of a data set."""
        truth = [(clip.overall, clip.textual) for clip in clips]  # None becomes NaN
        return cls(
            tuple(clip.name for clip in clips),
            tuple(clip.system for clip in clips),
            tuple(clip.split for clip in clips),
            np.asarray(scores, dtype=np.float64).reshape(-1, len(TARGETS)),
            np.asarray(truth, dtype=np.float64).reshape(-1, len(TARGETS)),
            None if distributions is None else np.asarray(distributions, dtype=np.float64),
        )

    def __len__(self) -> int:
        return len(self.clips)

    def of_split(self, split: str) -> "ClipPredictions":
        """Return the predictions for one split."""
        return self._take([i for i, name in enumerate(self.splits) if name == split])

    def scored(self) -> "ClipPredictions":
        """Return the predictions for clips whose true scores are known."""
        return self._take(np.flatnonzero(np.isfinite(self.truth).all(axis=1)).tolist())

    def with_truth(
        self, clips: Sequence[MusicEvalClip], source: str = "predictions"
    ) -> "ClipPredictions":
        """Return the predictions with system, split and truth from a data set, in its order.

        Raises:
            InputError: If a clip of the data set was not predicted.
        """
        rows = {name: row for row, name in enumerate(self.clips)}
        missing = [clip.name for clip in clips if clip.name not in rows]
        if missing:
            raise InputError(
                f"{source}: {len(missing)} clips were not predicted, such as {missing[0]}; predict "
                "the whole list"
            )
        taken = self._take([rows[clip.name] for clip in clips])
        return ClipPredictions.of(clips, taken.scores, taken.distributions)

    def joined(self, other: "ClipPredictions") -> "ClipPredictions":
        """Return these predictions, then those for other clips."""
        pairs = ((self.clips, other.clips), (self.systems, other.systems))
        clips, systems = (first + second for first, second in pairs)
        distributions = None
        if self.distributions is not None and other.distributions is not None:
            distributions = np.concatenate([self.distributions, other.distributions])
        return ClipPredictions(
            clips,
            systems,
            self.splits + other.splits,
            np.concatenate([self.scores, other.scores]),
            np.concatenate([self.truth, other.truth]),
            distributions,
        )

    def aligned_with(self, clips: Sequence[str], source: str = "predictions") -> "ClipPredictions":
        """Return the predictions in the order of ``clips``.

        Raises:
            InputError: If they are not for the same clips.
        """
        rows = {name: row for row, name in enumerate(self.clips)}
        odd = sorted(set(clips) ^ set(rows))
        if odd:
            raise InputError(
                f"{source}: {len(odd)} clips differ from the first run's, such as {odd[0]}; "
                "predict the same list with every run"
            )
        return self._take([rows[name] for name in clips])

    def _take(self, rows: list[int]) -> "ClipPredictions":
        clips, systems, splits = (
            tuple(names[row] for row in rows) for names in (self.clips, self.systems, self.splits)
        )
        distributions = None if self.distributions is None else self.distributions[rows]
        return ClipPredictions(
            clips, systems, splits, self.scores[rows], self.truth[rows], distributions
        )


def write_predictions(path: Path, predictions: ClipPredictions) -> None:
    """Write predictions to a ``.parquet`` file, or to a ``.pt`` in the released format."""
    write = _write_released if path.suffix == ".pt" else _write_parquet
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, predictions)


def read_predictions(path: str | Path) -> ClipPredictions:
    """Read the predictions of a run folder, a ``.parquet`` or a ``.pt`` file.

    Raises:
        InputError: If the file is missing, holds something else, or a number is not finite.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"{path}: no predictions here; run `musiceval train` or `predict` first")
    found = _read_released(path) if path.suffix == ".pt" else _read_parquet(path)
    if twice := len(found.clips) - len(set(found.clips)):
        raise InputError(f"{path}: {twice} clips come twice; predict again")
    wrong = {"score": ~np.isfinite(found.scores), "true score": np.isinf(found.truth)}
    if found.distributions is not None:
        wrong["distribution"] = ~np.isfinite(found.distributions)
    for what, table in wrong.items():
        for row, target, *_ in np.argwhere(table).tolist():
            raise InputError(
                f"{path}: row {row + 1}, {found.clips[row]}: the {TARGETS[target]} {what} is not "
                "a finite number; predict again"
            )
    return found


def _write_parquet(path: Path, predictions: ClipPredictions) -> None:
    import pandas as pd

    table: dict[str, Any] = {
        "clip": predictions.clips,
        "system": predictions.systems,
        "split": predictions.splits,
    }
    for column, target in enumerate(TARGETS):
        table[target] = predictions.truth[:, column]
        table[f"{target}_score"] = predictions.scores[:, column]
        dists = predictions.distributions
        table[f"{target}_dist"] = None if dists is None else dists[:, column].tolist()
    with atomic_file(path) as file:
        pd.DataFrame(table).to_parquet(file, index=False)


def _read_parquet(path: Path) -> ClipPredictions:
    import pandas as pd
    import pyarrow

    try:
        table = pd.read_parquet(path)
        return _from_columns({name: list(table[name]) for name in table.columns})
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as error:
        raise InputError(f"{path}: not predictions of this program ({error})") from error


def _write_released(path: Path, predictions: ClipPredictions) -> None:
    rows: dict[str, dict[str, Any]] = {}
    for index, name in enumerate(predictions.clips):
        row = rows[clip_id(name)] = {NAME: name}
        for column, target in enumerate(TARGETS):
            row[f"{target}_score"] = float(predictions.scores[index, column])
            row[f"{target}_dist"] = None
            if predictions.distributions is not None:
                dist = torch.from_numpy(predictions.distributions[index, column]).float()
                row[f"{target}_dist"] = dist
    if len(rows) < len(predictions):
        raise InputError(f"{path}: two clips differ by .wav alone; write a .parquet file")
    with atomic_file(path) as file:
        torch.save(rows, file)


def _read_released(path: Path) -> ClipPredictions:
    try:
        with torch.serialization.safe_globals(NUMPY):
            found = torch.load(path, map_location="cpu", weights_only=True)
        rows = list(found.values()) if isinstance(found, dict) else found
        columns: dict[str, list[Any]] = {"clip": [str(row[NAME]) for row in rows]}
        for target in TARGETS:
            columns[f"{target}_score"] = [float(row[f"{target}_score"]) for row in rows]
            columns[f"{target}_dist"] = [row.get(f"{target}_dist") for row in rows]
        return _from_columns(columns)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise InputError(f"{path}: not predictions in plain numbers; get the file again") from error
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path}: not released predictions ({error!r}); convert the file"
        ) from error


def _from_columns(columns: dict[str, list[Any]]) -> ClipPredictions:
    clips = tuple(columns["clip"])
    unknown = [float("nan")] * len(clips)
    dists = [columns[f"{target}_dist"] for target in TARGETS]
    distributions = None
    if clips and all(dist is not None for column in dists for dist in column):
        tables = [np.stack([np.asarray(d, np.float64).ravel() for d in column]) for column in dists]
        distributions = np.stack(tables, axis=1)
        if distributions.shape[2] != BINS:
            raise ValueError(f"distributions of {distributions.shape[2]} bins, expected {BINS}")
    return ClipPredictions(
        clips,
        tuple(columns.get("system") or map(system_of, clips)),
        tuple(columns.get("split") or ["test"] * len(clips)),
        np.stack([np.asarray(columns[f"{t}_score"], np.float64) for t in TARGETS], axis=1),
        np.stack([np.asarray(columns.get(t, unknown), np.float64) for t in TARGETS], axis=1),
        distributions,
    )
