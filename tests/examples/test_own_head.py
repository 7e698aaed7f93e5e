"""The example head learns from ratings, and is a head like others once it is installed."""

import json
from pathlib import Path

import pytest

from hear_aesthetics.metrics import lcc
from tests.examples.conftest import EXAMPLES

pytestmark = pytest.mark.slow
INSTALL = ("-m", "pip", "install", "-qq", "--no-deps", "--no-build-isolation", "--target")


def test_an_installed_head_scores_beside_the_bundled_one(run, tmp_path: Path) -> None:
    run(EXAMPLES / "own_head.py")
    run(*INSTALL, "packages", EXAMPLES)
    heads = ("--head", "own", "--head", "demo")
    score = ("-m", "hear_aesthetics", "score", "rated", "--model", "mini", *heads)
    run(*score, "--out", "scores.json", PYTHONPATH=tmp_path / "packages")
    rows = sorted(json.loads((tmp_path / "scores.json").read_text()), key=lambda row: row["path"])
    assert {"Rating", "demo:Clarity"} <= rows[0].keys()
    learned = [row["Rating"] for row in rows]
    clarity = [1 + 4 * song / (len(rows) - 1) for song in range(len(rows))]
    assert lcc(learned, clarity) > 0.9  # of the songs that it was fitted on


def test_a_table_of_ratings_is_read(run, tmp_path: Path, write_song) -> None:
    for song in range(3):
        write_song(tmp_path / f"{song}.wav", song)
    (tmp_path / "ratings.csv").write_text("path,rating\n0.wav,1\n1.wav,3\n2.wav,5\n")
    run(EXAMPLES / "own_head.py", "ratings.csv", OWN_HEAD=tmp_path / "mine.npz")
    assert (tmp_path / "mine.npz").is_file()
