"""What is each deviation from the released training worth?

The default recipe, the published one, and the default one with the released updates alone, three
seeds each, on a composed set like that of :mod:`benchmarks.songeval`. Songs and ratings are
simulated: the figures say how the recipes differ on such songs, and nothing about music that people
make.
"""

import json
from collections.abc import Mapping
from typing import Any

from benchmarks.common.composed_set import QUICK, Size, composed_set, songeval
from benchmarks.common.harness import BenchmarkReport, main
from songeval_task.reports.ablation import summarize
from songeval_task.reports.read_predictions import read_predictions
from songeval_task.reports.report import interval_text
from songeval_task.training.config import RECIPES

__all__ = ["measure"]

# Smaller than the other benchmarks' set: selection after every update takes its time.
SIZE = Size("recipes", 160, "10-15", 50, augmentations=1, epochs=8, seeds=3)
DEFAULT, PUBLISHED = "default", "published"
PARTS: Mapping[str, Mapping[str, object]] = {
    DEFAULT: {},
    "released updates": {"updates": "released"},
    PUBLISHED: RECIPES[PUBLISHED],
}
OPTIONS = {
    "head_size": "small",
    "standardize": True,
    "learning_rate": 1e-3,
    "accumulation": 2,
    "patience": 0,
}
# Data of rows: the last version as released exists only where the songs that select train too.
AS_RELEASED = ("prepared-published", "features-published")


def measure(quick: bool) -> BenchmarkReport:
    """Train every recipe with every seed, and compare each with the default."""
    size = QUICK if quick else SIZE
    folder = composed_set(size)
    _released_data(size)
    found = {name: [] for name in PARTS}
    for name, part in PARTS.items():
        data = AS_RELEASED if name == PUBLISHED else ("prepared", "features")
        for seed in range(size.seeds):
            out = f"recipes/{name.replace(' ', '-')}/seed{seed}"
            chosen = {**OPTIONS, "epochs": size.epochs, "seed": seed, **part}
            settings = [f"--set={key}={json.dumps(value)}" for key, value in chosen.items()]
            places = ("--data", data[0], "--features", data[1], "--out", out)
            songeval(folder, "train", *places, *settings)
            found[name].append(read_predictions(folder / out, None).predictions)
    figures = summarize(found, DEFAULT)
    gaps = {name: part["difference"]["lcc"][0] for name, part in figures.items()}
    return BenchmarkReport(
        title=f"Recipes on {size.songs} composed songs, {size.seeds} seeds: means and 95 % "
        f"intervals over {size.test_songs} test songs",
        rows=[_row(name, part) for name, part in figures.items()],
        ratio=figures[PUBLISHED]["value"]["lcc"][0] / figures[DEFAULT]["value"]["lcc"][0],
        max_difference=max(map(abs, gaps.values())),
        notes=[
            "a test and demo set: songs and ratings are simulated; features of mini",
            "rows selected on the test songs are optimistic, as the published figures are",
            "ratio: mean LCC of the published recipe over that of the default; difference: the "
            "largest of a row's mean LCC and the default's",
            "otherwise: "
            + ", ".join(f"{key} {value}" for key, value in OPTIONS.items())
            + f", epochs {size.epochs}",
        ],
    )


def _released_data(size: Size) -> None:
    """Prepare the set without songs that select, and make its versions as released."""
    prepared, features = AS_RELEASED
    wanted = ("--test-songs", str(size.test_songs), "--valid-fraction", "0")
    songeval(size.folder, "prepare", "songs", "--out", prepared, *wanted)
    made = ("--versions", "published", "--dtype", "float32", "--model", "mini")
    songeval(size.folder, "features", prepared, "--out", features, *made)


def _row(name: str, part: Mapping[str, Any]) -> dict[str, object]:
    values = {metric.upper(): interval_text(found) for metric, found in part["value"].items()}
    change = "" if name == DEFAULT else interval_text(part["difference"]["lcc"], signed=True)
    return {"recipe": name, **values, "LCC beside the default": change}


if __name__ == "__main__":
    raise SystemExit(main("recipes", measure))
