"""Scores in a folder of Parquet shards, and ``hear-aesthetics merge``, which joins them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hear_aesthetics.commands.console import ExitCode, Report, error_line
from hear_aesthetics.errors import InputError

if TYPE_CHECKING:
    from hear_aesthetics.engine.inputs import Inputs
    from songeval_task.scoring.feature_scorer import FeatureScorer
    from songeval_task.scoring.run import ScoreOptions

__all__ = ["check_sharded", "is_shard_folder", "merge", "score_to_shards"]

PARQUET = ".parquet"


def is_shard_folder(out: Path | None) -> bool:
    """Return whether OUT names a folder: one that is there, or a name without a suffix."""
    from songeval_task.scoring.outputs.formats import FORMATS

    if out is None or out.is_file() or out.suffix.lower() in FORMATS:
        return False
    return out.is_dir() or not out.suffix


def check_sharded(out: Path | None, shard: str | None, **others: Any) -> None:
    """Check the options of a run.

    Args:
        out: Where the rows go.
        shard: The part to score.
        **others: Options that need all rows at once, by their names.

    Raises:
        InputError: If they do not go together.
    """
    given = [f"--{name.replace('_', '-')}" for name, value in others.items() if value]
    if not is_shard_folder(out):
        if shard:
            raise InputError("--shard needs --out DIR, a folder of Parquet shards for `merge`")
    elif given:
        raise InputError(
            f"{', '.join(given)} needs all rows at once, which a folder of shards does not hold; "
            "name --out FILE.csv, or `merge` the shards first"
        )


def score_to_shards(
    scorer: "FeatureScorer",
    found: "Inputs",
    options: "ScoreOptions",
    out: Path,
    shard: str | None,
    *,
    overwrite: bool,
    max_minutes: float,
) -> ExitCode:
    """Score what a shard lacks, write its files, and return the exit code."""
    from hear_aesthetics.corpus.keys import Shard
    from hear_aesthetics.engine.inputs import keys_of
    from songeval_task.scoring.outputs.sharded import open_shard, score_shard

    part = Shard.parse(shard or "1/1")
    try:
        with open_shard(out, part, scorer, found, options, overwrite=overwrite) as writer:
            plan = writer.plan(keys_of(found.inputs), found.inputs)
            if plan.kept:
                typer.echo(f"{plan.kept} of {plan.rows} rows are there already", err=True)
            with Report(plan.rows, "scored") as report:
                report.done(plan.kept)
                for row in score_shard(scorer, found, options, writer, plan, max_minutes):
                    report.done() if row["error"] is None else report.fail(row["error"])
    except KeyboardInterrupt:
        typer.echo(f"stopped; the same command goes on with {out}", err=True)
        raise
    return report.exit_code


def merge(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders of shards, of `score --out DIR` or `embed`.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="FILE.parquet, made piece by piece, or of scores FILE.csv, .jsonl or .json.",
            show_default="none: the shards are checked",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there.")
    ] = False,
) -> None:
    """Check that shards make a whole, and join them to the file of an unsharded run.

    A shard that is missing, unfinished, doubled, of another list or of other settings is named, and
    nothing is written. Rows come in the order of the list. Exit codes: 0 all good, 1 the shards
    make no whole, 2 wrong usage.
    """
    from hear_aesthetics.corpus.merging import check_shards, find_shards, write_parquet
    from songeval_task.scoring.outputs.formats import check_out, write_rows
    from songeval_task.scoring.outputs.sharded import merged_rows

    if out is not None and out.suffix.lower() not in (PARQUET, ".csv", ".jsonl", ".json"):
        raise InputError(f"{out}: its name must end with {PARQUET}, .csv, .jsonl or .json")
    if out is not None and out.exists() and not overwrite:
        raise InputError(f"{out}: is there; take another --out, or --overwrite to replace it")
    shards = find_shards(folders)
    problems = check_shards(shards)
    for problem in problems:
        error_line(problem)
    if problems:
        raise typer.Exit(ExitCode.FAILED)
    first = shards.first
    rows = sum(one.record.rows for one in shards.found)
    failed = sum(one.record.failed for one in shards.found)
    if out is None:
        pass
    elif out.suffix.lower() == PARQUET:
        write_parquet(out, shards)
    else:
        check_out(out)
        meta = {**first.provenance, "fingerprint": first.fingerprint}
        write_rows(out, list(merged_rows(shards)), shards.columns, (), meta)
    typer.echo(f"{rows} rows in {first.shard.count} shards, {failed} of them failed", err=True)
