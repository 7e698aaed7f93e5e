"""``hear-aesthetics compare``: two songs, or two folders of takes, against each other."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hear_aesthetics.commands.console import ExitCode, Report, print_table, write_json
from hear_aesthetics.commands.options import DeviceOption, JsonOption, ModelOption, PrecisionOption
from songeval_task.commands.score_options import CalibrationOption, HeadOption, LoudnessOption
from songeval_task.commands.scorers import load_aesthetic_scorer

if TYPE_CHECKING:
    from hear_aesthetics.engine.inputs import Inputs
    from songeval_task.scoring.comparison import Difference
    from songeval_task.scoring.scorer import AestheticScorer

__all__ = ["compare"]

Side = dict[str, dict[str, Any]]  # name that pairs takes -> row


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A file, folder, glob or list of takes.")],
    b: Annotated[
        str, typer.Argument(metavar="B", help="A file, folder, glob or list to compare with A.")
    ],
    model: ModelOption = "large",
    head: HeadOption = None,
    loudness: LoudnessOption = None,
    calibration: CalibrationOption = None,
    as_json: JsonOption = False,
    precision: PrecisionOption = "auto",
    device: DeviceOption = None,
) -> None:
    """Compare the scores of two songs or of two folders of takes: B minus A, per dimension.

    Folders that hold the same names, extensions aside, are compared pair by pair, others by their
    means. The intervals are 95 % intervals of Student's t over songs; a single take has none.

    P is the probability that B is better: of folders, over other takes like these, and where .jsonl
    rows name the prompt or system of every take, over other prompts and systems; of two songs, that
    listeners rate B higher, which needs --calibration. From 0.05 to 0.95 nobody can tell.

    Exit codes: 0 all good, 1 nothing to compare, 2 wrong usage, 3 some inputs failed.
    """
    from hear_aesthetics.engine.inputs import collect_inputs
    from songeval_task.scoring.comparison import compare_takes, probabilities_of_ratings

    found = [collect_inputs([argument]) for argument in (a, b)]
    scorer = load_aesthetic_scorer(head, model, precision=precision, device=device)
    scorer.calibrate(calibration or ())
    with Report(sum(map(len, found)), "scored") as report:
        left, right = (_score(scorer, side, loudness, report) for side in found)
    first, second = (set(_names(side)) for side in found)
    if paired := first == second and len(first) > 1:
        left = {name: row for name, row in left.items() if name in right}
        right = {name: right[name] for name in left}
    if not left or not right:
        raise typer.Exit(ExitCode.FAILED)
    columns = [*scorer.columns, *scorer.scorer_set.means.values()]
    songs = [*left.values(), *right.values()] if len(left) == len(right) == 1 else []
    result = compare_takes(
        [*left.values()],
        [*right.values()],
        columns,
        paired=paired,
        loudness_normalized_to=loudness,
        demo=scorer.demo,
        may_be_calibrated=bool(scorer.scorer_set.heads),
        probabilities=(
            probabilities_of_ratings(scorer.scorer_set, columns, *songs) if songs else None
        ),
    )
    if as_json:
        write_json({"a": a, "b": b, **result.as_json(), "provenance": scorer.provenance})
    else:
        differences = [*result.differences, *([result.loudness] if result.loudness else [])]
        heading = ["", "A", "B", "B - A", "95 % interval", "P"]
        print_table(heading, map(_line, differences), left=("",))
        typer.echo(f"\n{result.sentence}")
    raise typer.Exit(report.exit_code)


def _score(
    scorer: "AestheticScorer", found: "Inputs", loudness: float | None, report: Report
) -> Side:
    """Return the rows of the takes of one side that could be scored, by name of the take."""
    from songeval_task.scoring.comparison import take

    side: Side = {}
    results = scorer.score_files(found.inputs, loudness=loudness)
    for name, item, result in zip(_names(found), found.inputs, results, strict=True):
        if result.error is not None:
            report.fail(result.error)
            continue
        side[name] = take(result.output, prompt=item.prompt, system=item.fields.get("system"))
        report.done()
    for bad in found.errors:
        report.fail(bad.message)
    return side


def _names(found: "Inputs") -> list[str]:
    """Return the names of takes: without extensions, unless these tell takes apart."""
    keys = [item.key for item in found.inputs]
    bare = [str(PurePosixPath(key).with_suffix("")) for key in keys]
    return bare if len(set(bare)) == len(keys) else keys


def _line(difference: "Difference") -> list[str]:
    d = difference
    interval = "-" if d.low is None or d.high is None else f"{d.low:+.2f} to {d.high:+.2f}"
    chance = "-" if d.probability is None else f"{d.probability:.2f}"
    return [d.name, f"{d.a:.2f}", f"{d.b:.2f}", f"{d.difference:+.2f}", interval, chance]
