"""``hear-aesthetics score``: songs to scores, resumable, in the format of the file's suffix."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hear_aesthetics.commands.cluster import RayOption
from hear_aesthetics.commands.console import ExitCode, Report, error_line, warning_line
from hear_aesthetics.commands.options import (
    DeviceOption,
    JsonOption,
    MaxMinutesOption,
    ModelOption,
    OverwriteOption,
    PrecisionOption,
    ShardOption,
)
from hear_aesthetics.errors import InputError
from hear_aesthetics.lazy import uncollected
from hear_aesthetics.spec import MAX_MINUTES
from songeval_task.commands.listing import BestOf, Listing, take_groups
from songeval_task.commands.score_options import (
    BestOfOption,
    CalibrationOption,
    CoverageOption,
    ExplainOption,
    FormatOption,
    HeadOption,
    LoudnessOption,
    OutOption,
    PlotOption,
    PromptOption,
    ServerOption,
    SongsArgument,
    TimelineOption,
    TokenOption,
    TopOption,
    WindowOption,
)
from songeval_task.commands.score_plot import plot_scores
from songeval_task.commands.scorers import (
    load_ray_scorer,
    load_scorer,
    open_server,
    say_what_intervals_need,
    say_what_is_not_explained,
)
from songeval_task.commands.shards import check_sharded, is_shard_folder, score_to_shards

if TYPE_CHECKING:
    from hear_aesthetics.engine.inputs import Inputs
    from songeval_task.scoring.feature_scorer import FeatureScorer
    from songeval_task.scoring.outputs.journal import Journal
    from songeval_task.scoring.run import ScoreOptions

__all__ = ["score"]


def score(
    ctx: typer.Context,
    inputs: SongsArgument,
    out: OutOption = None,
    shard: ShardOption = None,
    released: FormatOption = None,
    model: ModelOption = "large",
    head: HeadOption = None,
    timeline: TimelineOption = False,
    explain: ExplainOption = False,
    window: WindowOption = None,
    loudness: LoudnessOption = None,
    calibration: CalibrationOption = None,
    coverage: CoverageOption = 0.9,
    top: TopOption = None,
    best_of: BestOfOption = None,
    plot: PlotOption = None,
    prompt: PromptOption = None,
    ray: RayOption = None,
    server: ServerOption = None,
    token: TokenOption = "",
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    precision: PrecisionOption = "auto",
    device: DeviceOption = None,
    max_minutes: MaxMinutesOption = MAX_MINUTES,
) -> None:
    """Score songs: a row each, which says what is wrong where there is no score.

    An input may also be features of a song, a .npy file of `embed --kind features --format npy` or
    of the released extraction: heads score it without a model.

    The column warnings names faults of the audio that make its scores doubtful, such as silence.

    OUT is written whole, at the end; until then rows are kept in OUT.partial.jsonl, afterwards in
    OUT.rows.jsonl. The same command goes on after an interruption, and later scores only files that
    are new, have changed, or failed. Scores of other heads, models or options are never mixed in.

    Heads that are calibrated also give COLUMN_low and COLUMN_high, the interval that holds the
    mean rating of listeners as often as --coverage says, and novelty: the percentile of the song's
    distance from the songs that the head knows.

    With --best-of, each group's best take by its mean, the rating to expect of it now that it was
    chosen among so many (of calibrated heads), and the probability that it is better than the
    second. With --json the output is an object: rows, best_of.

    With --timeline and --explain, rows in .json and .jsonl hold the windows; beside .csv and .scp
    they are OUT.timeline.csv and OUT.explain.csv. OUT.meta.json says what made the numbers.

    A folder holds Parquet files of bounded size; --shard 2/3 scores the second third of the songs,
    by their keys, and `hear-aesthetics merge` joins the shards. --ray scores on a cluster.

    Exit codes: 0 all good, 1 nothing worked, 2 wrong usage, 3 some inputs failed.
    """
    with uncollected():
        from hear_aesthetics.engine.inputs import collect_inputs
        from songeval_task.scoring.outputs.formats import write_rows
        from songeval_task.scoring.outputs.released_formats import released_document
        from songeval_task.scoring.rows import table_columns
        from songeval_task.scoring.run import ScoreOptions, check_features, score_inputs

    sharded = is_shard_folder(out)
    check_sharded(*(out, shard), json=as_json, format=released, top=top, best_of=best_of, plot=plot)
    found = collect_inputs(inputs, prompt=prompt, features=True, unique=sharded)
    options = ScoreOptions(timeline=timeline, explain=explain, loudness=loudness)
    _check_usage(found, options, out, plot, as_json, released)
    groups = take_groups(found, best_of, tables=bool(top or (released and out is None)))
    _need_inputs(found)
    own: dict[str, Any] = {
        **{"model": model, "head": head, "window": window},
        **{"precision": precision, "device": device},
    }
    scorer = _open_scorer(ctx, found, own, ray, server, token)
    scorer.calibrate(calibration or (), coverage)
    say_what_intervals_need(scorer, coverage)
    check_features(scorer, found, options)
    if out and sharded:
        how: dict[str, Any] = {"overwrite": overwrite, "max_minutes": max_minutes}
        raise typer.Exit(score_to_shards(scorer, found, options, out, shard, **how))
    document = released_document(released, scorer.columns) if released else None
    journal = _open_journal(scorer, found, options, out, overwrite, released) if out else None
    columns = table_columns(scorer.scorer_set, found)
    listing = (
        BestOf(groups, scorer.scorer_set, out, as_json=as_json)
        if groups
        else Listing(
            *(columns, scorer.scorer_set.all_columns),
            as_json=as_json,
            top=top,
            document=None if out else document,
        )
    )
    visible = bool(out is None or as_json or top is not None or groups)
    rows: list[dict[str, Any]] = []
    try:
        with journal or nullcontext(), Report(len(found), "scored") as report:
            made = score_inputs(
                scorer, found, options, journal, max_minutes, rounded=released is None
            )
            for row in made:
                rows.append(row)
                report.done() if row["error"] is None else report.fail(row["error"])
                if visible:
                    listing.add(row)
            if out and journal:
                meta = {**scorer.provenance, **vars(options), "fingerprint": journal.fingerprint}
                write_rows(out, rows, columns, scorer.columns, meta, document)
                journal.finish()
    except KeyboardInterrupt:
        if out:
            typer.echo(f"stopped; the same command goes on with {out}", err=True)
        raise
    say_what_is_not_explained(rows)
    if visible:
        listing.finish(rows)
    if plot:
        plot_scores(plot, rows, scorer, top)
    raise typer.Exit(report.exit_code)


def _open_scorer(
    ctx: typer.Context,
    found: "Inputs",
    own: dict[str, Any],
    ray: str | None,
    server: str | None,
    token: str,
) -> "FeatureScorer":
    """Return the scorer of a server, of a cluster, or of this process."""
    from hear_aesthetics.engine.inputs import kinds_of

    if server and ray:
        raise InputError("--server scores by its own machines; leave out --ray")
    if server:
        return open_server(server, token, own)
    if ray is None:
        return load_scorer(found, **own)
    if False not in kinds_of(found.inputs):
        raise InputError("--ray is for audio; score .npy files without it")
    return load_ray_scorer(ctx, ray, **own)


def _need_inputs(found: "Inputs") -> None:
    """End the command if there are no inputs, and say what is wrong with those that were given."""
    if not found.inputs:
        for bad in found.errors:
            error_line(bad.message)
        raise typer.Exit(ExitCode.FAILED)


def _check_usage(
    found: "Inputs",
    options: "ScoreOptions",
    out: Path | None,
    plot: Path | None,
    as_json: bool,
    released: str | None,
) -> None:
    """Check the options before anything is loaded."""
    from songeval_task.scoring.outputs import formats
    from songeval_task.scoring.outputs.released_formats import check_released

    nests = out is not None or as_json
    if options.timeline and not (nests or plot):
        raise InputError("--timeline needs --out, --json or --plot, where windows have room")
    if options.explain and not nests:
        raise InputError("--explain needs --out or --json, where windows have room")
    if plot is not None and (plot.suffix.lower() != ".png" or not plot.parent.is_dir()):
        raise InputError(f"{plot}: --plot needs a name ending with .png, in a folder that exists")
    if released:
        check_released(released, found, out, as_json=as_json)
    if out is not None and not is_shard_folder(out):
        formats.check_out(out)
        if out.suffix.lower() == ".scp":
            formats.check_utterances(item.path for item in found.inputs)


def _open_journal(
    scorer: "FeatureScorer",
    found: "Inputs",
    options: "ScoreOptions",
    out: Path,
    overwrite: bool,
    released: str | None,
) -> "Journal":
    """Open the journal of OUT; write which rows are kept, and which OUT will no longer hold."""
    from songeval_task.scoring.outputs.formats import check_scp_scores
    from songeval_task.scoring.outputs.journal import Journal, clip_key
    from songeval_task.scoring.rows import row_columns

    if out.suffix.lower() == ".scp":
        check_scp_scores(scorer.columns)
    columns = row_columns(scorer.scorer_set)  # rows of a version with others would have gaps
    fingerprint = {**scorer.fingerprint(), **vars(options), "columns": columns}
    if released:  # rows of others are rounded
        fingerprint["format"] = released
    journal = Journal(out, fingerprint, overwrite=overwrite)
    keys = [clip_key(item) for item in found.inputs]
    if kept := sum(key in journal.done for key in keys):
        typer.echo(f"{kept} of {len(found)} rows are there already", err=True)
    if others := {key[:3] for key in journal.done} - {key[:3] for key in keys}:
        warning_line(f"{out}: without {len(others)} earlier rows, whose files were not given now")
    return journal
