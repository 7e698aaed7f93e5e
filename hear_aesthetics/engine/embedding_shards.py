"""Embeddings in Parquet shards: a row per file, its embedding a list of fixed size.

Columns are ``key``, ``path``, ``start``, ``end`` and ``duration`` (s), ``embedding`` (float32, one
list for a scene, else one per frame), ``timestamps_ms`` where there are frames, ``status`` and
``error``; rows of a corpus end with the columns that they carry.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.corpus.keys import Shard, digests
from hear_aesthetics.corpus.shard_writer import Plan, ShardWriter
from hear_aesthetics.engine.embedding_files import origin
from hear_aesthetics.engine.inference import Result
from hear_aesthetics.engine.inputs import BadInput, Input, Inputs, select
from hear_aesthetics.fingerprint import FINGERPRINT
from hear_aesthetics.model import HearModel

__all__ = ["embed_shard", "open_embedding_shard"]

OK, ERROR = "ok", "error"
OWN = ("key", "path", "start", "end", "duration", "embedding", "timestamps_ms", "status", "error")


def open_embedding_shard(
    out: Path,
    shard: Shard,
    model: HearModel,
    kind: str,
    inputs: Inputs,
    *,
    overwrite: bool = False,
) -> ShardWriter:
    """Return the writer of a shard of embeddings.

    Raises:
        InputError: If what is there was made otherwise.
    """
    import pyarrow as pa

    scene = kind == "scene"
    size = model.scene_embedding_size if scene else model.timestamp_embedding_size
    vector = pa.list_(pa.float32(), size)
    seconds, texts = pa.float64(), pa.string()
    kinds = {
        **{"key": texts, "path": texts, "start": seconds, "end": seconds, "duration": seconds},
        "embedding": vector if scene else pa.list_(vector),
        **({} if scene else {"timestamps_ms": pa.list_(pa.float32())}),
        **{"status": texts, "error": texts},
    }
    units = {**dict.fromkeys(("start", "end", "duration"), "s"), "timestamps_ms": "ms"}
    carried = {_carried_name(name): kind for name, kind in inputs.carried.items() if kind}
    fields = [
        pa.field(name, kind, metadata={"unit": units[name]} if name in units else None)
        for name, kind in {**kinds, **carried}.items()
    ]
    made = origin(model, kind)
    fingerprint = made.pop(FINGERPRINT)
    columns = [*kinds, *map(_carried_name, inputs.carried)]
    schema = pa.schema(fields)
    return ShardWriter(out, shard, schema, fingerprint, made, columns=columns, overwrite=overwrite)


def embed_shard(
    compute: Callable[[Sequence[Input]], Iterator[tuple[int, Result[Input]]]],
    kind: str,
    inputs: Inputs,
    writer: ShardWriter,
    plan: Plan,
) -> Iterator[dict[str, Any]]:
    """Embed what a shard lacks.

    Args:
        compute: Inputs -> the number among them and the embedding of each, in any order.
        kind: See :func:`hear_aesthetics.engine.embedding_files.embed`.
        inputs: Inputs of all shards.
        writer: From :func:`open_embedding_shard`.
        plan: What the writer lacks.

    Yields:
        The row of each input, once it is with the writer; then those of bad inputs.
    """
    for number, result in compute(select(inputs.inputs, plan.positions)):
        row = _row(result, inputs, scene=kind == "scene")
        failed = row["error"] is not None
        writer.add(int(plan.positions[number]), plan.stamps[number], row, failed=failed)
        yield row
    mine = writer.shard.owns(digests(bad.message for bad in inputs.errors))
    for at, bad in enumerate(inputs.errors):
        if mine[at]:
            row = _bad_row(bad)
            writer.add(len(inputs.inputs) + at, "", row, failed=True)
            yield row
    writer.finish()


def _row(result: Result[Any], inputs: Inputs, *, scene: bool) -> dict[str, Any]:
    """Return the row of a result."""
    item, output, error = result.item, result.output, result.error
    row = {"key": item.key, "path": str(item.path), "start": item.start, "end": item.end}
    row["duration"] = result.seconds or None
    text = None if error is None else str(error)
    if text is None:
        embedding = output["embedding"].numpy()
        row["embedding"] = embedding
        if not np.isfinite(embedding).all():
            del row["embedding"]
            text = f"{item.path}: its embedding holds what is not a number; not written"
        elif not scene:
            row["timestamps_ms"] = output["timestamps_ms"].numpy()
    row |= {"status": ERROR if text else OK, "error": text}
    if inputs.carried:
        fields = dict(item.fields)
        row |= {_carried_name(name): fields.get(name) for name in inputs.carried}
    return row


def _bad_row(bad: BadInput) -> dict[str, Any]:
    return {"path": bad.path or bad.source, "status": ERROR, "error": bad.message}


def _carried_name(name: str) -> str:
    return f"input_{name}" if name in OWN else name
