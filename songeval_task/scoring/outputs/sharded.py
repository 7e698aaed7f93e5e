"""Scores in Parquet shards: rows to files as they come, and back to one table."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hear_aesthetics.corpus.keys import Shard, digests
from hear_aesthetics.corpus.merging import Shards, row_tables
from hear_aesthetics.corpus.shard_writer import Plan, ShardWriter
from hear_aesthetics.engine.inputs import Inputs, select
from hear_aesthetics.spec import MAX_MINUTES
from songeval_task.scoring.feature_scorer import FeatureScorer
from songeval_task.scoring.rows import DETAILS, ERROR, ScoreRow, row_columns, table_columns
from songeval_task.scoring.run import ScoreOptions, score_inputs
from songeval_task.scoring.scorer_set import ScorerSet

__all__ = ["merged_rows", "open_shard", "score_shard"]

UNITS = {
    **dict.fromkeys(("start", "end", "duration"), "s"),
    "loudness_lufs": "LUFS",
    "novelty": "percentile",
}
TEXTS = {"key", "path", "model", "head", "status", "error", "warnings"}
SCORE = "points on the scale of the head"


def open_shard(
    out: Path,
    shard: Shard,
    scorer: FeatureScorer,
    inputs: Inputs,
    options: ScoreOptions,
    *,
    overwrite: bool = False,
) -> ShardWriter:
    """Return the writer of a shard of scores.

    Raises:
        InputError: If what is there was made otherwise.
    """
    columns = row_columns(scorer.scorer_set)
    fingerprint = {**scorer.fingerprint(), **vars(options), "columns": columns}
    return ShardWriter(
        out,
        shard,
        _schema(scorer.scorer_set, inputs),
        fingerprint,
        {**scorer.provenance, **vars(options)},
        columns=table_columns(scorer.scorer_set, inputs),
        overwrite=overwrite,
    )


def score_shard(
    scorer: FeatureScorer,
    inputs: Inputs,
    options: ScoreOptions,
    writer: ShardWriter,
    plan: Plan,
    max_minutes: float = MAX_MINUTES,
) -> Iterator[ScoreRow]:
    """Yield the rows that a shard lacks, each once it is with the writer; then those of bad inputs.

    Args:
        scorer: Model and heads.
        inputs: Inputs of all shards.
        options: Outputs besides the scores.
        writer: From :func:`open_shard`.
        plan: What the writer lacks.
        max_minutes: Longest clip; a longer one is an error.
    """
    mine = writer.shard.owns(digests(bad.message for bad in inputs.errors))
    bad = [(at, error) for at, error in enumerate(inputs.errors) if mine[at]]
    errors = [error for _, error in bad]
    part = Inputs(select(inputs.inputs, plan.positions), errors, inputs.carried, keyed=True)
    places = [*plan.positions.tolist(), *(len(inputs.inputs) + at for at, _ in bad)]
    stamps = [*plan.stamps, *("" for _ in bad)]
    made = score_inputs(scorer, part, options, max_minutes=max_minutes)
    for place, stamp, row in zip(places, stamps, made, strict=True):
        writer.add(place, stamp, row, failed=row["status"] == ERROR)
        yield row
    writer.finish()


def merged_rows(shards: Shards) -> Iterator[ScoreRow]:
    """Yield the rows of shards as an unsharded run has them, in the order of the list."""
    columns = shards.columns
    for table in row_tables(shards):
        for found in table.to_pylist():
            row = {name: found.get(name) for name in columns}
            yield row | {name: found[name] for name in DETAILS if found.get(name) is not None}


def _schema(scorer_set: ScorerSet, inputs: Inputs) -> Any:
    """Return the columns whose types are known, with their units."""
    import pyarrow as pa

    def column(name: str) -> Any:
        if name in TEXTS:
            return pa.field(name, pa.string())
        if name == "demo":
            return pa.field(name, pa.bool_())
        unit = UNITS.get(name.rpartition(":")[2], SCORE)
        return pa.field(name, pa.float64(), metadata={"unit": unit})

    own = row_columns(scorer_set)
    carried = table_columns(scorer_set, inputs)[len(own) + 1 :] if inputs.keyed else []
    kinds: Mapping[str, Any] = dict(zip(carried, inputs.carried.values(), strict=True))
    known = [pa.field(name, kind) for name, kind in kinds.items() if kind is not None]
    return pa.schema([*map(column, ("key", *own)), *known])
