"""Which hidden states, and which part of a scene embedding, are best on the validation parts?

    python -m benchmarks.representation.choice --model RUN --tasks TASKS_DIR [--states "3 6 3,6"]

Test parts are not looked at. Tasks, splits and probe are those of ``benchmarks.representation``.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from benchmarks.representation.__main__ import CACHE, counted_tasks
from benchmarks.representation.contenders import outcomes_of
from hear_aesthetics.features.fusion import parse_layer
from hear_aesthetics.markdown import markdown_table

STATES = "2 3 4 5 6 1,4 1,5 2,4 2,5 2,6 3,5 3,6 4,6"


def main(model: Path, tasks: Path | None, cache: Path, states: str) -> None:
    """Print the validation accuracies of every choice, the best first."""
    data = counted_tasks(tasks, cache)
    settings = {
        "module": "hear_aesthetics",
        "model": str(model),
        "options": [{"layer": parse_layer(text)} for text in states.split()],
        "mean": 0.5,
    }
    found = []
    for outcome in outcomes_of(settings, data, cache):
        found.append(outcome)
        print(f"{outcome.choice}: {outcome.valid:.4f}", file=sys.stderr)
    rows = [
        [outcome.choice, f"{outcome.valid:.4f}"]
        + [f"{np.mean(outcome.scores[name][0]):.4f}" for name in data]
        for outcome in sorted(found, key=lambda outcome: -outcome.valid)
    ]
    print(markdown_table(["choice", "mean", *data], rows, numbers=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="model directory")
    parser.add_argument("--tasks", type=Path, help="folder of HEAR task folders")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder for all that is made")
    parser.add_argument("--states", default=STATES, help="hidden states, separated by spaces")
    main(**vars(parser.parse_args()))
