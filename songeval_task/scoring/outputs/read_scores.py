"""Scores from any file that ``score`` or ``merge`` wrote, as one pandas frame."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hear_aesthetics.errors import InputError
from hear_aesthetics.text_files import read_json, read_text
from songeval_task.scoring.outputs.formats import FORMULA
from songeval_task.scoring.rows import DETAILS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_scores"]

TEXTS = ("key", "path", "model", "head", "status", "error", "warnings")
READABLE = (".csv", ".jsonl", ".json", ".parquet")


def read_scores(path: str | os.PathLike[str]) -> "pd.DataFrame":
    """Return the rows of a file of scores, or of a folder of Parquet shards.

    Scores and times are float64, NaN where a row has none; texts are None where it has none;
    ``demo`` is a bool. Windows of ``--timeline`` and ``--explain`` are lists of dictionaries where
    the format holds them.

    Args:
        path: ``.csv``, ``.jsonl``, ``.json``, ``.parquet``, or a folder of shards, complete or not.

    Raises:
        InputError: If it cannot be read; names the file.
    """
    import pandas as pd

    path = Path(path)
    suffix = path.suffix.lower()
    if path.is_dir():
        frame = _of_shards(path)
    elif suffix not in READABLE:
        raise InputError(f"{path}: no scores; name a folder of shards, or {' or '.join(READABLE)}")
    elif suffix == ".parquet":
        frame = _of_parquet(path)
    elif suffix == ".csv":
        frame = _of_csv(path)
    else:
        frame = pd.DataFrame(_json_rows(path, suffix))
    return _typed(frame)


def _of_shards(folder: Path) -> "pd.DataFrame":
    import pyarrow as pa

    from hear_aesthetics.corpus.merging import find_shards, row_tables

    tables = list(row_tables(find_shards([folder])))
    if not tables:
        raise InputError(f"{folder}: holds no rows yet; run the same command again, it goes on")
    return pa.concat_tables(tables).to_pandas()


def _of_parquet(path: Path) -> "pd.DataFrame":
    from hear_aesthetics.corpus.shard_files import INTERNAL, read_part

    frame: pd.DataFrame = read_part(path).to_pandas()
    return frame.drop(columns=[name for name in INTERNAL if name in frame])


def _of_csv(path: Path) -> "pd.DataFrame":
    import io

    import pandas as pd

    text = io.StringIO(read_text(path))
    try:
        frame = pd.read_csv(text, keep_default_na=False, na_values=[""])
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(f"{path}: not a table of scores ({error}); score again") from error
    escaped = tuple(f"'{sign}" for sign in FORMULA)
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            frame[name] = [
                v[1:] if isinstance(v, str) and v.startswith(escaped) else v for v in frame[name]
            ]
    return frame


def _json_rows(path: Path, suffix: str) -> list[dict[str, Any]]:
    if suffix == ".json":
        rows: list[dict[str, Any]] = read_json(path, list)
        return rows
    rows = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        try:
            rows += [json.loads(line)] if line else []
        except ValueError as error:
            raise InputError(f"{path}:{number}: not JSON ({error}); score again") from error
    return rows


def _typed(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the frame with the types that the columns have in every format."""
    for name in frame.columns:
        column = frame[name]
        if name in TEXTS:
            values = column.astype(object)
            frame[name] = values.where(values.notna(), None)
        elif name == "demo":
            frame[name] = column.astype(bool)
        elif name not in DETAILS and column.isna().all():
            frame[name] = column.astype("float64")
    return frame
