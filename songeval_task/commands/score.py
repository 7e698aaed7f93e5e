"""``hear-aesthetics score``: songs to scores, resumable, in the format of the file's suffix."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

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
from hear_aesthetics.spec import MAX_MINUTES
from songeval_task.commands.listing import BestOf, Listing, ranked, take_groups
from songeval_task.commands.shards import check_sharded, is_shard_folder, score_to_shards

if TYPE_CHECKING:
    from hear_aesthetics.engine.inputs import Inputs
    from songeval_task.scoring.feature_scorer import FeatureScorer
    from songeval_task.scoring.journal import Journal
    from songeval_task.scoring.run import ScoreOptions
    from songeval_task.scoring.scorer import AestheticScorer

__all__ = [
    *("CalibrationOption", "CoverageOption", "HeadOption", "LoudnessOption"),
    *("load_aesthetic_scorer", "score"),
]

QUIETEST, LOUDEST = -70.0, 0.0  # LUFS: the gate of the measure, and full scale


def _loudness_in_range(value: float | None) -> float | None:
    if value is not None and not QUIETEST <= value <= LOUDEST:  # nan is in no range
        raise typer.BadParameter(f"{value:g} LUFS is not from {QUIETEST:g} to {LOUDEST:g}")
    return value


HeadOption = Annotated[
    list[str] | None,
    typer.Option(
        "--head",
        metavar="NAME|PATH",
        help="track1, track2, songeval, songbench, audiobox (which needs no model), demo, an "
        "installed scorer, or a file; may be given again: the columns of further heads begin with "
        "their name. Default: track2, with mini: demo (which never learned from ratings).",
    ),
]
CalibrationOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="What `hear-aesthetics calibrate` learned of a head's errors; may be given again for "
        "further heads.",
        show_default="that of the run that a head is of",
    ),
]
CoverageOption = Annotated[
    float,
    typer.Option(
        min=0.01, max=0.999, help="Share of ratings that the intervals of calibrated heads hold."
    ),
]
SongsArgument = Annotated[
    list[str],
    typer.Argument(
        help="Audio or .npy files, folders, globs, .txt or .jsonl lists, .parquet or .tar files, "
        "URLs (s3://, hf://), or - for standard input."
    ),
]
LoudnessOption = Annotated[
    float | None,
    typer.Option(
        metavar="LUFS",
        callback=_loudness_in_range,
        help="Bring every clip to this loudness before it is scored, such as -14. The column "
        "loudness_lufs keeps what was measured (BS.1770, all channels, the file's own rate).",
    ),
]


def score(
    inputs: SongsArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            help="FILE.csv, .jsonl, .json or .scp, or a folder for Parquet shards; default: stdout."
        ),
    ] = None,
    shard: ShardOption = None,
    released: Annotated[
        Literal["ear-hear", "songeval"] | None,
        typer.Option(
            "--format",
            help="JSON of a released program: ear-hear, the object of EAR_HEAR's inference.py, of "
            "several songs a list of them; songeval, SongEval's result.json. One head alone.",
            show_default="by the suffix of OUT",
        ),
    ] = None,
    model: ModelOption = "large",
    head: HeadOption = None,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Also score 30 s windows, one every 10 s.")
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Add how scores change without each 10 s, and the attention of the head to it.",
        ),
    ] = False,
    loudness: LoudnessOption = None,
    calibration: CalibrationOption = None,
    coverage: CoverageOption = 0.9,
    top: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Print the N best, by their mean.")
    ] = None,
    best_of: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Name the best take of each group: takes whose .jsonl rows have one value of this "
            "key, such as prompt; or folder. Beside OUT: OUT.best.csv.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw a radar of up to 8 songs (the best with --top, else the first), and with "
            "--timeline their curves.",
        ),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="Text of inputs that have none, for scorers that read it.")
    ] = None,
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
    by their keys, and `hear-aesthetics merge` joins the shards.

    Exit codes: 0 all good, 1 nothing worked, 2 wrong usage, 3 some inputs failed.
    """
    from hear_aesthetics.engine.inputs import collect_inputs
    from songeval_task.scoring.formats import write_rows
    from songeval_task.scoring.released_formats import released_document
    from songeval_task.scoring.rows import table_columns
    from songeval_task.scoring.run import ScoreOptions, check_features, score_inputs

    sharded = is_shard_folder(out)
    check_sharded(*(out, shard), json=as_json, format=released, top=top, best_of=best_of, plot=plot)
    found = collect_inputs(inputs, prompt=prompt, features=True, unique=sharded)
    options = ScoreOptions(timeline=timeline, explain=explain, loudness=loudness)
    _check_usage(found, options, out, plot, as_json, released)
    groups = take_groups(found, best_of, tables=bool(top or (released and out is None)))
    _need_inputs(found)
    scorer = _load_scorer(found, head, model, precision=precision, device=device)
    scorer.calibrate(calibration or (), coverage)
    _say_what_intervals_need(scorer, coverage)
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
    if visible:
        listing.finish(rows)
    if plot:
        _plot(plot, rows, scorer, top)
    raise typer.Exit(report.exit_code)


def _need_inputs(found: "Inputs") -> None:
    """End the command if there are no inputs, and say what is wrong with those that were given."""
    if not found.inputs:
        for bad in found.errors:
            error_line(bad.message)
        raise typer.Exit(ExitCode.FAILED)


def load_aesthetic_scorer(
    head: list[str] | None, model: str, *, precision: str, device: str | None
) -> "AestheticScorer":
    """Return a scorer; write a warning if its scores say nothing about music.

    Raises:
        InputError: If a name is unknown or a head does not fit the model.
    """
    from songeval_task.scoring.scorer import AestheticScorer

    scorer = AestheticScorer.from_pretrained(
        *(head or ()), model=model, precision=precision, device=device
    )
    _warn_if_demo(scorer)
    return scorer


def _load_scorer(
    found: "Inputs", head: list[str] | None, model: str, *, precision: str, device: str | None
) -> "FeatureScorer":
    """Return the scorer of these inputs: heads alone where all of them are features."""
    from hear_aesthetics.engine.inputs import kinds_of
    from songeval_task.scoring.feature_scorer import FeatureScorer

    if False in kinds_of(found.inputs):
        return load_aesthetic_scorer(head, model, precision=precision, device=device)
    scorer = FeatureScorer.from_pretrained(*(head or ()), model=model, device=device)
    _warn_if_demo(scorer)
    return scorer


def _warn_if_demo(scorer: "FeatureScorer") -> None:
    if scorer.demo:
        learned = "never learned from people's ratings and says nothing about the music"
        warning_line(f"demo scores: {scorer.title} {learned}")


def _say_what_intervals_need(scorer: "FeatureScorer", coverage: float) -> None:
    """Say in one line why scores have no intervals, if they have none."""
    from songeval_task.uncertainty.calibration import songs_for

    if scorer.scorer_set.heads and not scorer.scorer_set.calibrated:
        typer.echo(
            "no intervals: nothing is known of the head's errors; `hear-aesthetics calibrate` "
            "learns them from rated songs",
            err=True,
        )
    for name, calibration in scorer.scorer_set.calibrated.items():
        if len(calibration.preds) < (needed := songs_for(coverage)):
            warning_line(
                f"{name}: {len(calibration.preds)} calibration songs promise no coverage of "
                f"{coverage:g}, which takes {needed}; intervals are empty"
            )


def _check_usage(
    found: "Inputs",
    options: "ScoreOptions",
    out: Path | None,
    plot: Path | None,
    as_json: bool,
    released: str | None,
) -> None:
    """Check the options before anything is loaded."""
    from songeval_task.scoring import formats
    from songeval_task.scoring.released_formats import check_released

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
    from songeval_task.scoring.formats import check_scp_scores
    from songeval_task.scoring.journal import Journal, clip_key
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


def _plot(path: Path, rows: list[dict[str, Any]], scorer: "FeatureScorer", top: int | None) -> None:
    from hear_aesthetics.plotting.style import save
    from songeval_task.scoring.radar_plot import MAX_SONGS, score_figure

    good = ranked(rows)[:top] if top else [row for row in rows if row["error"] is None]
    if not good:
        return
    if len(good) > MAX_SONGS:
        which = "best" if top else "first"
        warning_line(f"{path}: shows the {which} {MAX_SONGS} of {len(good)} songs")
    name, dimensions = next(iter(scorer.scorer_set.groups.items()))
    status = "demo: the scores say nothing" if scorer.demo else "after each name: the mean"
    if name in scorer.scorer_set.calibrated:
        status += f"; bands: {scorer.scorer_set.coverage:.0%} intervals"
    title = "Song scores" if len(good) > 1 else "Song score"
    model = f"model {scorer.model_name}, " if scorer.model_name else ""
    subtitle = f"{model}head {name}; {status}"
    save(score_figure(good, dimensions, title=title, subtitle=subtitle), path)
