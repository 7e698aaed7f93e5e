"""``evaluate-embeddings`` and ``leaderboard``: from embedding folders to tables and a picture."""

import csv
import json

import numpy as np
import pytest

from hear_aesthetics.cli import main
from hear_aesthetics.evaluation.embeddings.rows import DONE_FILE, write_rows

QUICK = ["--grid", "faster", "--grid-points", "1", "--seeds", "1", "--precision", "float32"]
MODELS = ("first", "second=layer-6")


@pytest.fixture
def run(capsys):
    """Runs the program; its exit code, stdout and lines of stderr."""

    def command(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([*map(str, words)])
        captured = capsys.readouterr()
        return int(exit_.value.code or 0), captured.out, captured.err.splitlines()

    return command


def write_folder(folder, rows=8):
    """An embedding folder of ESC-50 with two labels, in heareval's layout."""
    metadata = {"task_name": "esc50", "mode": "full", "embedding_type": "scene"}
    metadata |= {"prediction_type": "multiclass", "split_mode": "trainvaltest"}
    metadata |= {"splits": ["train", "valid", "test"], "evaluation": ["top1_acc", "mAP"]}
    folder.mkdir(parents=True)
    (folder / "task_metadata.json").write_text(json.dumps(metadata))
    (folder / "labelvocabulary.csv").write_text("idx,label\n0,a\n1,b\n")
    generator = np.random.default_rng(0)
    for split in metadata["splits"]:
        labels = [["ab"[i % 2]] for i in range(rows)]
        (folder / f"{split}.json").write_text(json.dumps({str(i): x for i, x in enumerate(labels)}))
        write_rows(folder, split, [generator.normal(size=(rows, 4)).astype("f4")], labels)
    (folder / DONE_FILE).touch()


@pytest.fixture
def evaluated(run, tmp_path):
    """Two models' evaluated folders below one."""
    for model in MODELS:
        write_folder(tmp_path / "embeddings" / model / "esc50-2.0.0-full")
    code, out, err = run("evaluate-embeddings", tmp_path / "embeddings", *QUICK)
    assert (code, err) == (0, [])
    assert out.count("esc50-2.0.0-full  top1_acc 0.") == 2
    return tmp_path / "embeddings"


def test_a_folder_that_is_not_there_costs_a_line(run, evaluated, tmp_path):
    folders = [tmp_path / "nowhere", evaluated / "first"]
    code, out, err = run("evaluate-embeddings", *folders, *QUICK)
    assert (code, out.count("top1_acc")) == (3, 1)
    assert err == [
        f"error: {tmp_path / 'nowhere'}: no task in it; a task folder holds task_metadata.json"
    ]


def test_a_broken_result_costs_the_leaderboard_a_line(run, evaluated, tmp_path):
    broken = evaluated / "first/esc50-2.0.0-full/test.robust-scores.json"
    broken.write_text("{}")
    code, out, err = run("leaderboard", evaluated, "--out", tmp_path / "board")
    assert (code, "second=layer-6" in out, "first" in out) == (3, True, False)
    assert err[0].startswith("error: ")
    assert str(broken.parent) in err[0]
    assert run("leaderboard", evaluated / "first", "--out", tmp_path / "board")[:2] == (1, "")


def test_a_broken_folder_costs_a_line(run, evaluated):
    (evaluated / "first/esc50-2.0.0-full/valid.embeddings.npy").unlink()
    code, out, err = run("evaluate-embeddings", evaluated, *QUICK, "--overwrite")
    assert (code, out.count("top1_acc"), len(err)) == (3, 1, 1)
    assert "valid.embeddings.npy: missing; compute the embeddings again" in err[0]


def test_results_that_are_there_are_kept_unless_asked_again(run, evaluated):
    mark = evaluated / "first/esc50-2.0.0-full/prediction-done.json"
    before = mark.stat().st_mtime_ns
    run("evaluate-embeddings", evaluated, *QUICK)
    assert mark.stat().st_mtime_ns == before
    run("evaluate-embeddings", evaluated, *QUICK, "--overwrite")
    assert mark.stat().st_mtime_ns != before


def test_tables_picture_and_cards_are_written(run, evaluated, tmp_path):
    out = tmp_path / "board"
    code, markdown, err = run("leaderboard", evaluated, "--out", out, "--card")
    assert code == 0
    assert markdown == (out / "leaderboard.md").read_text()
    assert "| ESC-50 | top1_acc |" in markdown
    assert "95 % interval" in markdown
    with (out / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["Model"] for row in rows) == sorted(MODELS)
    assert all(0 <= float(row["ESC-50"]) <= 1 for row in rows)
    assert (out / "leaderboard.png").read_bytes()[:4] == b"\x89PNG"
    for model in MODELS:
        assert "## HEAR benchmark" in (out / f"card-{model}.md").read_text()
    assert err[-1].startswith("written: ")


def test_the_official_leaderboard_is_joined(run, evaluated, tmp_path):
    path = tmp_path / "official.csv"
    path.write_text("Model,URL,ESC-50,FSD50K\nBest,http://x,1.1,0.6\nWorst,http://y,-0.1,\n")
    out = tmp_path / "board"
    code, markdown, _ = run("leaderboard", evaluated, "--official", path, "--out", out)
    assert code == 0
    assert "1.100 Best" in markdown
    assert "(2 of 3)" in markdown
    lines = (out / "leaderboard.csv").read_text().splitlines()
    assert lines[0] == "Model,URL,ESC-50,FSD50K"
    assert lines[-2:] == ["Best,http://x,1.1,0.6", "Worst,http://y,-0.1,"]


def test_results_can_be_read_by_a_program(run, evaluated, tmp_path):
    _, out, _ = run("leaderboard", evaluated, "--out", tmp_path / "board", "--json")
    rows = json.loads(out)
    assert {row["model"] for row in rows} == set(MODELS)
    assert all(row["protocol"] == "robust" and row["task"] == "ESC-50" for row in rows)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["leaderboard", "{empty}"], 1, "no task in it"),
        (["leaderboard", "{folders}", "--official", "{empty}/none.csv"], 2, "cannot be read"),
        (["evaluate-embeddings", "{empty}"], 1, "no task in it"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(run, evaluated, tmp_path, words, code, message):
    (tmp_path / "empty").mkdir()
    places = {"empty": tmp_path / "empty", "folders": evaluated}
    found, _, err = run(*(word.format(**places) for word in words))
    assert (found, len(err)) == (code, 1)
    assert message in err[0]
