"""The commands of the README in their order, on a set small enough for CI: it must learn."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

README = Path(__file__).parents[2] / "README.md"
SMALL = {  # command -> what makes it small
    "synthesize": "songs --songs 48 --seconds 10-14",
    "prepare": "songs --out prepared --test-songs 12 --valid-fraction 0.2",
    "features": "prepared --out features --model mini --augmentations 1",
    "train": "--track 2 --data prepared --features features --out run --head-size small --lr 2e-3 "
    "--epochs 12 --set accumulation=1 --set standardize=true --set patience=0",
    "evaluate": "run",
}


def run(folder: Path, command: str) -> None:
    arguments = [*[sys.executable, "-m", "hear_aesthetics", "songeval", command]]
    done = subprocess.run(
        [*arguments, *SMALL[command].split()],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"songeval {command} failed:\n{done.stderr}"


def test_the_readme_shows_these_commands_in_this_order() -> None:
    blocks = re.findall(r"^```\w*\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    walks = [re.findall(r"^hear-aesthetics songeval ([\w-]+)", block, re.M) for block in blocks]
    walks = [walk for walk in walks if "synthesize" in walk]
    assert walks, "the README composes no songs"
    assert [name for name in walks[0] if name in SMALL] == list(SMALL)


@pytest.mark.slow
def test_from_songs_to_a_report_and_something_is_learnt(tmp_path: Path) -> None:
    for command in SMALL:
        run(tmp_path, command)
    metrics = json.loads((tmp_path / "run" / "evaluation" / "metrics.json").read_text())
    assert metrics["utterance"]["count"] == 12
    raters = metrics["raters"]  # four, of the run's own songs; their errors are half a point
    assert (raters["count"], raters["raters"]) == (12, 4)
    assert raters["mean"]["reliability"][0] > 0.5
    # about 0.5; chance is 0 with a standard deviation near 0.2 on twelve songs
    assert metrics["utterance"]["mean"]["lcc"][0] > 0.3
    losses = pd.read_csv(tmp_path / "run" / "log.csv")["loss"]
    assert losses.iloc[-1] < 0.8 * losses.iloc[0]
