"""The five subcommands, one after the other, as a user would run them."""

import errno
import json
from pathlib import Path

import pytest
import torch

from hear_aesthetics.cli import main
from musiceval_task.data.dataset import PREFIX, clip_id, read_clips
from musiceval_task.predictions import read_predictions
from musiceval_task.training.members import MEMBERS

QUICK = ("--model", "mini", "--epochs", "1", "--batch-size", "4")


def musiceval(*args: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(["musiceval", *map(str, args)])
    return int(exit_.value.code or 0)


@pytest.fixture
def bad_set(request: pytest.FixtureRequest) -> Path:
    """A set to be spoilt; its fixture's name is that of the function above."""
    return request.getfixturevalue("musiceval")


@pytest.fixture(scope="module")
def runs(small_set: Path, roberta: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two members, trained for one epoch."""
    out = tmp_path_factory.mktemp("runs")
    members = ("--member", "gaussian-1984", "--member", "coral")
    assert musiceval("train", small_set, "--text", roberta, "--out", out, *QUICK, *members) == 0
    return out


def test_train_says_which_epoch_was_kept(
    small_set: Path, roberta: Path, tmp_path: Path, capsys
) -> None:
    """Orders of three systems are often equal: the smaller error decides what is kept and said."""
    options = ("--model", "mini", "--epochs", "6", "--batch-size", "4", "--lr", "0.003")
    assert musiceval("train", small_set, "--text", roberta, "--out", tmp_path, *options) == 0
    kept = json.loads((tmp_path / "gaussian-1984" / "config.json").read_text())
    best = kept["provenance"]["best"]["epoch"]
    assert f"best epoch {best}," in capsys.readouterr().out


def test_train_keeps_what_is_finished_and_refuses_what_is_not_its_own(
    small_set: Path, roberta: Path, tmp_path: Path, capsys
) -> None:
    words = ("train", small_set, "--text", roberta, "--out", tmp_path, *QUICK)
    assert musiceval(*words) == 0
    capsys.readouterr()
    assert musiceval(*words) == 0
    assert "gaussian-1984: finished before" in capsys.readouterr().out
    assert musiceval(*words, "--lr", "0.1") == 2
    assert "training.learning_rate was None, now 0.1" in capsys.readouterr().err
    assert musiceval(*words, "--lr", "0.1", "--overwrite") == 0
    assert "best epoch 1" in capsys.readouterr().out


def test_a_full_disk_is_one_line(
    small_set: Path, roberta: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("musiceval_task.training.runs.write_predictions", full)
    assert musiceval("train", small_set, "--text", roberta, "--out", tmp_path, *QUICK) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(f"error: {tmp_path}: cannot take more (No space left on device)")


def test_train_leaves_a_folder_per_member_and_the_states(runs: Path) -> None:
    assert sorted(path.name for path in runs.iterdir()) == ["coral", "gaussian-1984", "states"]
    assert read_predictions(runs / "coral").distributions is None
    assert read_predictions(runs / "gaussian-1984").distributions is not None


def test_states_are_not_computed_again(runs: Path, small_set: Path, roberta: Path, capsys) -> None:
    args = ("train", small_set, "--text", roberta, "--out", runs, *QUICK, "--member", "one-hot")
    assert musiceval(*args) == 0
    assert "0 clips encoded" in capsys.readouterr().err


def test_predict_writes_both_formats_and_the_answer(
    runs: Path, small_set: Path, tmp_path: Path
) -> None:
    run, answer = runs / "gaussian-1984", tmp_path / "answer.txt"
    for suffix in (".parquet", ".pt"):
        out = tmp_path / f"p{suffix}"
        args = ("--out", out, "--split", "test", "--answer", answer)
        assert musiceval("predict", run, small_set, *args) == 0
        found = read_predictions(out)
        before = read_predictions(run).of_split("test").aligned_with(found.clips)
        assert found.scores == pytest.approx(before.scores, abs=1e-5)
    assert len(torch.load(tmp_path / "p.pt", weights_only=True)) == 3
    lines = answer.read_text().splitlines()
    assert lines == sorted(lines)
    assert lines[0].startswith(f"{PREFIX}S001_P003,")


def test_predict_takes_a_csv(runs: Path, small_set: Path, tmp_path: Path) -> None:
    clip = read_clips(small_set)[0]
    (tmp_path / "list.csv").write_text(f'path,prompt\n{clip.path},"a slow waltz"\n')
    out = tmp_path / "p.parquet"
    assert musiceval("predict", runs / "coral", tmp_path / "list.csv", "--out", out) == 0
    assert len(read_predictions(out)) == 1


@pytest.mark.parametrize("method", ["scores", "distributions", "ridge"])
def test_ensemble_writes_predictions_metrics_and_answer(
    runs: Path, tmp_path: Path, method: str
) -> None:
    members = (runs / "gaussian-1984", runs / "coral")
    assert musiceval("ensemble", *members, "--out", tmp_path / "e", "--method", method) == 0
    names = {path.name for path in (tmp_path / "e").iterdir()}
    assert names == {"predictions.parquet", "metrics.json", "answer.txt"}
    assert len((tmp_path / "e" / "answer.txt").read_text().splitlines()) == 3


@pytest.fixture(scope="module")
def published(set_with_dev: Path, roberta: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A member trained by the published recipe for one epoch."""
    out = tmp_path_factory.mktemp("published")
    words = ("--text", roberta, "--out", out, "--recipe", "published", *QUICK)
    assert musiceval("train", set_with_dev, *words) == 0
    return out / "gaussian-1984"


def test_the_published_recipe_predicts_and_evaluates_each_checkpoint(
    published: Path, set_with_dev: Path, tmp_path: Path, capsys
) -> None:
    for run in (published, published / "loss"):
        out = tmp_path / "p.parquet"
        assert musiceval("predict", run, set_with_dev, "--split", "test", "--out", out) == 0
        assert "0 clips encoded" in capsys.readouterr().err, "the states beside the run are found"
        found = read_predictions(out)
        before = read_predictions(run).of_split("test").aligned_with(found.clips)
        assert found.scores == pytest.approx(before.scores, abs=1e-6)
    checkpoints = (published, published / "loss", published / "system-srcc")
    assert musiceval("evaluate", *checkpoints, "--split", "dev", "--out", tmp_path / "r") == 0
    assert "gaussian-1984-loss: overall LCC" in capsys.readouterr().out


def test_released_stacking_takes_released_files_of_both_lists(
    published: Path, set_with_dev: Path, tmp_path: Path, capsys
) -> None:
    """A `.pt` per list and run, as the released code writes them, give what run folders give."""
    from musiceval_task.predictions import write_predictions

    runs = (published, published / "loss")
    words = ("--method", "released", "--out")
    assert musiceval("ensemble", *runs, *words, tmp_path / "a") == 0
    assert "ridge fitted on the dev list, as released: its dev" in capsys.readouterr().out
    files = {}
    for split in ("dev", "test"):
        files[split] = [tmp_path / f"{split}_{number}.pt" for number in (0, 1)]
        for run, file in zip(runs, files[split], strict=True):
            write_predictions(file, read_predictions(run).of_split(split))
    dev = [word for file in files["dev"] for word in ("--dev", file)]
    given = (*files["test"], *dev, "--truth", set_with_dev)
    assert musiceval("ensemble", *given, *words, tmp_path / "b") == 0
    first, second = (read_predictions(tmp_path / name).of_split("test") for name in "ab")
    assert second.scores == pytest.approx(first.aligned_with(second.clips).scores, abs=1e-5)
    assert musiceval("ensemble", *files["test"], *dev[:2], *words, tmp_path / "c") == 2
    assert "1 files for 2 runs; give one for each, and --truth" in capsys.readouterr().err
    assert musiceval("ensemble", *runs, *dev, "--truth", set_with_dev, *words, tmp_path / "c") == 2
    assert "predict clips of the dev list themselves" in capsys.readouterr().err


def test_train_says_that_dev_selected_as_published(
    set_with_dev: Path, small_set: Path, roberta: Path, tmp_path: Path, capsys
) -> None:
    words = ("--text", roberta, "--out", tmp_path, "--recipe", "published", *QUICK)
    assert musiceval("train", set_with_dev, *words) == 0
    assert "on dev, which selected it, as released: its dev figures" in capsys.readouterr().out
    assert musiceval("train", small_set, *words, "--member", "coral") == 2
    assert "needs two or more; add a dev list" in capsys.readouterr().err.splitlines()[-1]


def test_evaluate_reports_runs_side_by_side(runs: Path, tmp_path: Path, capsys) -> None:
    members = (runs / "gaussian-1984", runs / "coral")
    assert musiceval("evaluate", *members, "--out", tmp_path / "r") == 0
    said = capsys.readouterr().out
    assert "gaussian-1984: overall LCC" in said
    assert (tmp_path / "r" / "report.md").is_file()
    assert musiceval("evaluate", *members, "--out", tmp_path / "r", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)) == {"gaussian-1984", "coral"}


def test_evaluate_takes_released_files_with_the_truth_from_the_data(
    runs: Path, small_set: Path, tmp_path: Path, capsys
) -> None:
    from musiceval_task.predictions import write_predictions

    write_predictions(tmp_path / "released.pt", read_predictions(runs / "coral"))
    out = ("--out", tmp_path / "r", "--json")
    assert musiceval("evaluate", tmp_path / "released.pt", "--truth", small_set, *out) == 0
    released = json.loads(capsys.readouterr().out)["released"]
    assert musiceval("evaluate", runs / "coral", *out) == 0
    assert released == json.loads(capsys.readouterr().out)["coral"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("train", "{set}", "--member", "ninth"), "'ninth'; choose one of: gaussian-1984, "),
        (("train", "{set}", "--all", "--member", "coral"), "leave --member out"),
        (("train", "{set}", "--text", "/none", "--model", "mini"), "no folder of a text encoder"),
        (("train", "/none"), "neither a MusicEval folder nor a .csv"),
        (("train", "{set}", "--recipe", "best"), "choose corrected or published"),
        (("train", "{set}", "--lr", "nan"), "learning rate nan: take one above 0"),
        (("train", "{set}", "--lr", "-1"), "learning rate -1.0: take one above 0"),
        (("predict", "{run}", "{set}", "--out", "x.csv"), "written as .parquet or .pt"),
        (("predict", "{run}", "{set}", "--split", "inner"), "unknown split 'inner'"),
        (("ensemble", "{run}", "--method", "median"), "unknown method 'median'"),
        (("ensemble", "{run}", "--split", "dev"), "no clips of 'dev'"),
        (("evaluate", "{run}", "{run}"), "two runs have the same name"),
        (("evaluate", "{set}"), "no predictions here"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    runs: Path, small_set: Path, capsys, args: tuple[str, ...], message: str
) -> None:
    filled = [part.format(set=small_set, run=runs / "coral") for part in args]
    assert musiceval(*filled) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("S009_P001.wav,3,3", "S009_P001.wav is not there"),
        ("S002_P009.wav,3,3", "prompt_info.txt has no prompt 'P009'"),
        ("S002_P001.wav,3,3", "S002_P001.wav again, first at"),
        ("S002_P003.wav,3,5.01", "score '5.01'; it is a number from 1 to 5"),
    ],
    ids=["missing wav", "unknown prompt", "duplicate clip", "score out of range"],
)
def test_a_bad_list_is_one_line_and_nothing_is_encoded(
    bad_set: Path, roberta: Path, tmp_path: Path, capsys, line: str, message: str
) -> None:
    (bad_set / "sets" / "test_mos_list.txt").write_text(f"{PREFIX}{line}\n")
    out = tmp_path / "runs"
    assert musiceval("train", bad_set, "--text", roberta, "--out", out, *QUICK) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert "test_mos_list.txt:1" in said
    assert len(said.splitlines()) == 1
    assert not out.exists()


@pytest.mark.slow
def test_from_nothing_to_an_ensemble_that_hears_quality(tmp_path: Path, capsys) -> None:
    data, out = tmp_path / "set", tmp_path / "runs"
    assert musiceval("synthesize", data, "--prompts", 8, "--seconds", 4, "--workers", 1) == 0
    names = ("gaussian-1984", "coral")
    members = [word for name in names for word in ("--member", name)]
    options = ("--model", "mini", "--text", data / "text_encoder", "--epochs", 10, "--out", out)
    assert musiceval("train", data, *members, *options) == 0
    runs = [out / name for name in names]
    assert musiceval("ensemble", *runs, "--out", out / "ensemble") == 0
    capsys.readouterr()
    together = ("evaluate", *runs, out / "ensemble", "--out", tmp_path / "report", "--json")
    assert musiceval(*together) == 0
    figures = json.loads(capsys.readouterr().out)["ensemble"]
    (found,) = (
        row["value"]
        for row in figures
        if (row["target"], row["level"], row["metric"]) == ("overall", "system", "SRCC")
    )
    assert found > 0.5
    answered = (out / "ensemble" / "answer.txt").read_text().splitlines()
    tested = {clip_id(clip.name) for clip in read_clips(data, ["test"])}
    assert {line.partition(",")[0] for line in answered} == tested


@pytest.mark.slow
def test_synthesize_makes_a_set_that_trains_every_member_offline(tmp_path: Path) -> None:
    data, out = tmp_path / "set", tmp_path / "runs"
    size = ("--prompts", "5", "--seconds", "2", "--workers", "1")
    assert musiceval("synthesize", data, *size) == 0
    assert len(read_clips(data)) == 5 * 16
    text = ("--text", data / "text_encoder")
    assert musiceval("train", data, "--all", "--out", out, *QUICK, *text) == 0
    assert {path.name for path in out.iterdir()} == {*MEMBERS, "states"}
    assert musiceval("ensemble", *(out / name for name in MEMBERS), "--out", tmp_path / "e") == 0
