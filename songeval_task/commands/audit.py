"""``hear-aesthetics audit``: how far things that are not the music move the scores of songs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hear_aesthetics.commands.cluster import RayOption
from hear_aesthetics.commands.console import ExitCode, Report, error_line, print_table, warning_line
from hear_aesthetics.commands.options import (
    DeviceOption,
    InputsArgument,
    MaxMinutesOption,
    ModelOption,
    OverwriteOption,
    PrecisionOption,
)
from hear_aesthetics.spec import MAX_MINUTES
from songeval_task.commands.score_options import CalibrationOption, HeadOption
from songeval_task.commands.scorers import load_aesthetic_scorer, load_ray_scorer

if TYPE_CHECKING:
    from hear_aesthetics.engine.inputs import Inputs
    from songeval_task.audit.effects import Effect
    from songeval_task.audit.variants import Variant
    from songeval_task.scoring.outputs.journal import Journal
    from songeval_task.scoring.scorer import AestheticScorer

__all__ = ["audit"]

Rows = dict[str, dict[str, dict[str, Any]]]  # song -> variant -> row


def _list_variants(wanted: bool) -> None:
    if not wanted:
        return
    from songeval_task.audit.variants import GROUPS, choose_variants

    rows = [[g, ", ".join(v.name for v in choose_variants([g]))] for g in GROUPS]
    print_table(["group", "variants"], rows, left=("group", "variants"))
    raise typer.Exit


def audit(
    ctx: typer.Context,
    songs: InputsArgument,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the scores, tables and the picture.")
    ],
    model: ModelOption = "large",
    head: HeadOption = None,
    variants: Annotated[
        str | None,
        typer.Option(
            metavar="GROUP,GROUP", help="Groups of variants to score.", show_default="all of --list"
        ),
    ] = None,
    list_: Annotated[
        bool,
        typer.Option(
            "--list", is_eager=True, callback=_list_variants, help="Print the groups of variants."
        ),
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            help="Length of each song's beginning that is scored.",
            show_default="the whole song",
        ),
    ] = None,
    calibration: CalibrationOption = None,
    ray: RayOption = None,
    overwrite: OverwriteOption = False,
    precision: PrecisionOption = "auto",
    device: DeviceOption = None,
    max_minutes: MaxMinutesOption = MAX_MINUTES,
) -> None:
    """Measure how far things that are not the music move scores: level, codec, rate, noise, crops.

    Every song is scored as it is and in each variant. OUT/audit.md says what moves, audit.csv and
    audit.json hold the numbers, audit.png shows them. OUT/scores.jsonl keeps each row as it comes:
    the same command goes on after an interruption, and further songs or groups are added.

    Exit codes: 0 all good, 1 nothing worked, 2 wrong usage, 3 some inputs failed.
    """
    from hear_aesthetics.engine.inputs import collect_inputs
    from songeval_task.audit.calibrated import half_widths
    from songeval_task.audit.effects import effects_of
    from songeval_task.audit.run import fingerprint
    from songeval_task.audit.variants import ORIGINAL, choose_variants
    from songeval_task.scoring.outputs.journal import Journal

    chosen = choose_variants(variants.split(",") if variants is not None else None)
    found = collect_inputs(songs)
    if not found.inputs:
        for bad in found.errors:
            error_line(bad.message)
        raise typer.Exit(ExitCode.FAILED)
    how: dict[str, Any] = {"precision": precision, "device": device}
    scorer = (
        load_ray_scorer(ctx, ray, head, model, **how)
        if ray
        else load_aesthetic_scorer(head, model, **how)
    )
    scorer.calibrate(calibration or ())
    out.mkdir(parents=True, exist_ok=True)
    table = out / "audit.json"
    made_by = fingerprint(scorer, seconds)
    with Journal(table, made_by, overwrite=overwrite, path=out / "scores.jsonl") as journal:
        try:
            rows, report = _score(scorer, found, chosen, journal, seconds, max_minutes)
        except KeyboardInterrupt:
            typer.echo(f"stopped; the same command goes on with {out}", err=True)
            raise
        journal.finish()
    if not rows:
        raise typer.Exit(report.exit_code)
    scorer_set = scorer.scorer_set
    columns = {name: (*group, scorer_set.means[name]) for name, group in scorer_set.groups.items()}
    originals = [scored[ORIGINAL.name] for scored in rows.values()]
    effects = effects_of(rows, chosen, columns, half_widths(scorer_set, originals))
    _warn(effects)
    _write(out, scorer, effects, chosen, [*rows], report.errors, seconds)
    _print(effects, scorer)
    raise typer.Exit(report.exit_code)


def _score(
    scorer: "AestheticScorer",
    found: "Inputs",
    chosen: Sequence["Variant"],
    journal: "Journal",
    seconds: float | None,
    max_minutes: float,
) -> tuple[Rows, Report]:
    """Return the rows of the songs that could be scored, and the report of the run."""
    from songeval_task.audit.run import audit_songs
    from songeval_task.audit.variants import ORIGINAL

    possible = [variant for variant in chosen if not variant.missing]
    per_song = 1 + len(possible)
    rows: Rows = {}
    with Report(len(found) * per_song, "scored", "variant") as report:
        for done in audit_songs(
            scorer, found.inputs, possible, journal, seconds=seconds, max_minutes=max_minutes
        ):
            if done.variant is ORIGINAL and done.row["error"] is not None:
                report.fail(done.row["error"], per_song)
                continue
            rows.setdefault(done.song.key, {})[done.variant.name] = done.row
            report.done()
        for bad in found.errors:
            report.fail(bad.message, per_song)
    return rows, report


def _warn(effects: Sequence["Effect"]) -> None:
    """Say which variants were not measured, and why."""
    for name, note in {effect.variant: effect.note for effect in effects if effect.note}.items():
        warning_line(f"{name}: {note}")


def _write(
    out: Path,
    scorer: "AestheticScorer",
    effects: Sequence["Effect"],
    chosen: Sequence["Variant"],
    songs: Sequence[str],
    failed: Sequence[str],
    seconds: float | None,
) -> None:
    from songeval_task.audit.effects import LIMIT
    from songeval_task.audit.pages import write_pages
    from songeval_task.audit.plot import draw_audit

    provenance = {**scorer.provenance, "seconds": seconds}
    write_pages(out, effects, songs=songs, failed=failed, provenance=provenance, demo=scorer.demo)
    scorer_set = scorer.scorer_set
    first, *others = scorer_set.groups
    means = {scorer_set.means[name]: f"{name}: mean" for name in scorer_set.groups}
    of_one = {column: column for column in (scorer_set.means[first], *scorer_set.groups[first])}
    status = "; demo scores mean nothing" if scorer.demo else ""
    model = f"model {scorer.model_name}, " if scorer.model_name else ""
    subtitle = f"{model}{len(songs)} songs: mean change with its 95 % interval; "
    limits = {
        f"{LIMIT:g} points" if effect.interval_share is None else "half of the calibrated interval"
        for effect in effects
        if effect.songs
    }
    subtitle += f"orange: over {' or '.join(sorted(limits))} on average{status}"
    draw_audit(out / "audit.png", effects, chosen, means if others else of_one, subtitle)


def _print(effects: Sequence["Effect"], scorer: "AestheticScorer") -> None:
    """Print the effects on the mean of the first head, and the finding."""
    from songeval_task.audit.pages import sentences, signed

    mean = next(iter(scorer.scorer_set.means.values()))
    lines = [
        [e.variant, str(e.songs), signed(e.change), signed(e.low), signed(e.high)]
        for e in effects
        if e.column == mean
    ]
    print_table(["variant", "songs", mean, "low", "high"], lines, left=("variant",))
    typer.echo(f"\n{sentences(effects, demo=scorer.demo)}")
