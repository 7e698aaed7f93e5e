"""Do the eight members hear quality and read prompts? On held-out clips of the synthetic set.

Everything is made as the command line makes it: `synthesize`, `train --all` on `mini` states and a
tiny RoBERTa with random weights, `ensemble`. As a control the same clips are scored again with
their prompts permuted: a head that reads prompts then agrees with the listeners on alignment no
more. What is in the folder `--work` already (clips, states, trained members) is not made again.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.common.harness import BenchmarkReport, main
from heads import DualBranchHead
from hear_aesthetics.metrics.correlation import lcc
from musiceval_task.commands.synthesize import synthesize
from musiceval_task.commands.train import train
from musiceval_task.data.dataset import MusicEvalClip, read_clips
from musiceval_task.predictions import FILE_NAME, ClipPredictions, read_predictions
from musiceval_task.protocol import compute_metrics
from musiceval_task.reports.ensemble import combine
from musiceval_task.training.inference import Example, apply_head
from musiceval_task.training.members import MEMBERS
from musiceval_task.training.runs import Encoders, encode, load_run

__all__ = ["QUICK", "SIZE", "HeldOut", "Size", "make_runs", "measure", "targets"]

ENSEMBLE = "ensemble"
OVERALL, TEXTUAL = 0, 1  # columns of scores
SYSTEM_SRCC, TEXT_LCC, CONTROL = 0.85, 0.5, 0.1  # targets


@dataclass(frozen=True)
class Size:
    """Size of the set and of the training.

    Attributes:
        prompts: Number of prompts, and of clips of each of the 16 systems.
        seconds: Length of a clip.
        epochs: Epochs of training; the best on the inner split is kept.
        permutations: Number of permutations of the prompts.
    """

    prompts: int
    seconds: float
    epochs: int
    permutations: int


SIZE = Size(prompts=60, seconds=6.0, epochs=45, permutations=20)
QUICK = Size(prompts=5, seconds=2.0, epochs=1, permutations=2)


def make_runs(work: Path, size: Size) -> dict[str, Path]:
    """Make set, states and run folders of all members, as far as the folder lacks them."""
    data, runs = work / "set", {name: work / "runs" / name for name in MEMBERS}
    with redirect_stdout(sys.stderr):
        if not (data / "sets").is_dir():
            synthesize(data, prompts=size.prompts, seconds=size.seconds)
        missing = [name for name, run in runs.items() if not (run / FILE_NAME).is_file()]
        if missing:
            train(
                data,
                work / "runs",
                missing,
                model="mini",
                text=str(data / "text_encoder"),
                epochs=size.epochs,
                patience=size.epochs,  # prompts are read late: no run is stopped before
            )
    return runs


class HeldOut:
    """Clips of the test list with their states, and the trained heads."""

    def __init__(self, work: Path, runs: Mapping[str, Path]) -> None:
        self.clips: list[MusicEvalClip] = read_clips(work / "set", ["test"])
        text, states = str(work / "set" / "text_encoder"), work / "runs" / "states"
        encoders = Encoders.load("mini", text, states, precision="auto", device=None)
        self.examples: list[Example] = encode(self.clips, encoders)
        self.heads: dict[str, DualBranchHead] = {n: load_run(run) for n, run in runs.items()}

    def permuted(self, seed: int) -> list[Example]:
        """Return the examples with their prompts permuted."""
        order = np.random.default_rng(seed).permutation(len(self.examples))
        texts = [self.examples[place].text for place in order]
        return [replace(e, text=text) for e, text in zip(self.examples, texts, strict=True)]

    def text_alignment(self, examples: Sequence[Example]) -> dict[str, float]:
        """Return the LCC of text alignment of every member and of the ensemble."""
        made = {
            name: ClipPredictions.of(self.clips, *apply_head(head, examples))
            for name, head in self.heads.items()
        }
        made[ENSEMBLE] = combine(list(made.values()))
        return {name: float(lcc(p.scores, p.truth)[TEXTUAL]) for name, p in made.items()}

    def unseen(self, others: Sequence[MusicEvalClip]) -> np.ndarray:
        """Return True for clips whose prompt none of the others has, ``(clips,)``."""
        seen = {clip.prompt for clip in others}
        return np.array([clip.prompt not in seen for clip in self.clips])


def targets(
    figures: Mapping[str, Mapping[str, float]], permuted: Mapping[str, float]
) -> dict[str, bool]:
    """Return each target, and whether the metrics and the control reach it."""
    ensemble = figures[ENSEMBLE]
    members = [figures[name] for name in figures if name != ENSEMBLE]
    columns = ("impression LCC", "alignment LCC")
    medians = {key: float(np.median([member[key] for member in members])) for key in columns}
    return {
        f"impression, system SRCC >= {SYSTEM_SRCC}": (
            ensemble["impression system SRCC"] >= SYSTEM_SRCC
        ),
        f"alignment, LCC >= {TEXT_LCC}": ensemble["alignment LCC"] >= TEXT_LCC,
        f"alignment with prompts permuted, mean LCC within {CONTROL} of 0": (
            abs(permuted[ENSEMBLE]) <= CONTROL
        ),
        "ensemble at or above the median member, both LCCs": all(
            ensemble[key] >= medians[key] for key in columns
        ),
    }


def measure(quick: bool, work: Path | None = None) -> BenchmarkReport:
    """Evaluate the members and their ensemble on held-out clips, also with permuted prompts."""
    size = QUICK if quick else SIZE
    if work is not None:
        return _measure(size, work, judged=not quick)
    with tempfile.TemporaryDirectory() as folder:
        return _measure(size, Path(folder), judged=not quick)


def _measure(size: Size, work: Path, *, judged: bool) -> BenchmarkReport:
    runs = make_runs(work, size)
    predictions = {name: read_predictions(run) for name, run in runs.items()}
    predictions[ENSEMBLE] = combine(list(predictions.values()))
    tested = {name: made.of_split("test") for name, made in predictions.items()}
    figures = {name: _figures(made) for name, made in tested.items()}
    held_out = HeldOut(work, runs)
    controls = [
        held_out.text_alignment(held_out.permuted(seed)) for seed in range(size.permutations)
    ]
    permuted = {name: float(np.mean([one[name] for one in controls])) for name in figures}
    together = [one[ENSEMBLE] for one in controls]
    best = figures[ENSEMBLE]["alignment LCC"]
    return BenchmarkReport(
        title=f"Eight members and their ensemble on {len(held_out.clips)} held-out synthetic clips",
        rows=[
            {"": name, **figures[name], "alignment LCC, prompts permuted": permuted[name]}
            for name in figures
        ],
        ratio=best / float(np.median([figures[name]["alignment LCC"] for name in MEMBERS])),
        max_difference=max(map(abs, together)),
        targets=targets(figures, permuted) if judged else {},
        notes=[
            "ratio: LCC of alignment, the ensemble over the median member",
            f"difference: largest |LCC| of alignment in {size.permutations} permutations of the "
            f"prompts; {min(together):.3f} to {max(together):.3f}",
            _unseen_note(held_out, work, tested[ENSEMBLE]),
            f"16 systems x {size.prompts} clips of {size.seconds:g} s; the scores are "
            "simulated: the set shows that training works, not how well people are predicted",
        ],
    )


def _figures(made: ClipPredictions) -> dict[str, float]:
    measures = compute_metrics(made)
    names = {"impression": "overall", "alignment": "textual"}
    kinds = {"LCC": ("utterance", "LCC"), "system SRCC": ("system", "SRCC")}
    return {
        f"{shown} {kind}": measures[target, *key].value
        for shown, target in names.items()
        for kind, key in kinds.items()
    }


def _unseen_note(held_out: HeldOut, work: Path, ensemble: ClipPredictions) -> str:
    """Return a note on the ensemble's LCC for prompts that are in no other list."""
    others = read_clips(work / "set", ["train", "dev"])
    ensemble = ensemble.aligned_with([clip.name for clip in held_out.clips])
    new = held_out.unseen(others)
    if new.sum() < 2:
        return "fewer than two clips have a prompt that training never saw"
    value = float(lcc(ensemble.scores[new], ensemble.truth[new])[TEXTUAL])
    return (
        f"{new.sum()} of the clips have a prompt that training never saw: alignment LCC {value:.3f}"
    )


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--work", type=Path, help="folder to keep set, states and runs in")
    return parser


if __name__ == "__main__":
    raise SystemExit(main("musiceval.members", measure, options=_options()))
