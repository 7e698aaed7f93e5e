"""Result files of mteb: small ones in its layout; those of mteb itself are read in
``tests/judges``."""

import json

import pytest

from hear_aesthetics.errors import InputError, TaskError
from hear_aesthetics.evaluation.results import leaderboard_text as text
from hear_aesthetics.evaluation.results.leaderboard import collect_results, make_leaderboard
from hear_aesthetics.evaluation.results.leaderboard_plot import draw_leaderboard
from hear_aesthetics.evaluation.results.mteb_files import read_mteb_result
from hear_aesthetics.evaluation.results.task_result import TaskResult

ORIGIN = {
    "module": "hear_aesthetics",
    "sample_rate": 48_000,
    "sizes": {},
    "model": None,
    "options": {},
    "provenance": {"model": "mini"},
}


def hear_result(model="hear_aesthetics", task="ESC-50", score=0.6, **changes):
    about = {"score_name": "top1_acc", "higher_is_better": True, "protocol": "robust"}
    about |= {"parts": (task,), "interval": (score - 0.1, score + 0.1), "provenance": ORIGIN}
    return TaskResult(model=model, task=task, score=score, **about | changes)


@pytest.fixture
def write(tmp_path):
    """A function that writes a task's result as mteb does; its path."""

    def make(
        task="GTZANGenre", scores=None, *, name="hear-aesthetics/mini", revision="abc", **meta
    ):
        folder = tmp_path / "mteb/results" / name.replace("/", "__") / revision
        folder.mkdir(parents=True, exist_ok=True)
        about = {"name": name, "revision": revision, "experiment_kwargs": None, **meta}
        (folder / "model_meta.json").write_text(json.dumps(about))
        (folder / "run_settings.jsonl").write_text("{}\n")
        content = {
            "dataset_revision": "53efa0",
            "task_name": task,
            "mteb_version": "2.26.24",
            "scores": scores or {"train": [entry(0.5, f1=0.4)]},
        }
        path = folder / f"{task}.json"
        path.write_text(json.dumps(content))
        return path

    return make


def entry(score, subset="default", **others):
    languages = {"hf_subset": subset, "languages": ["zxx-Zxxx"], "mteb_version": "2.26.24"}
    return {"accuracy": score, **others, "main_score": score, **languages}


def test_a_result_says_split_subsets_and_main_score(write):
    """Protects against a number whose split and score nobody knows."""
    found = read_mteb_result(write())
    assert (found.model, found.task) == ("hear-aesthetics/mini", "GTZANGenre (mteb, train)")
    assert (found.score, found.score_name, found.parts) == (0.5, "accuracy", ("default",))
    assert (found.interval, found.width, found.benchmark) == (None, "", "mteb")


def test_the_score_is_the_mean_over_splits_and_subsets(write):
    """Protects the agreement with mteb's own tables."""
    scores = {"dev": [entry(0.2, "en"), entry(0.4, "fr")], "test": [entry(0.9, "en")]}
    found = read_mteb_result(write(scores=scores))
    assert (found.score, found.parts) == (pytest.approx(0.5), ("en", "fr"))
    assert found.task == "GTZANGenre (mteb, dev + test)"


def test_a_main_score_that_could_be_several_is_not_named(write):
    """Protects against a wrong name where two scores have one value."""
    assert read_mteb_result(write(scores={"test": [entry(0.5, f1=0.5)]})).score_name == "main score"


def test_options_of_a_model_are_part_of_its_name(write):
    """Protects the results of a model's own layer from those of another."""
    assert read_mteb_result(write(experiment_kwargs={"layer": 5})).model == (
        "hear-aesthetics/mini (layer 5)"
    )


@pytest.mark.parametrize(
    "content",
    [
        "[1]",
        "{",
        "{}",
        '{"scores": [], "task_name": "t"}',
        '{"scores": {"test": []}, "task_name": "t"}',
        '{"scores": {"test": [{"hf_subset": "en"}]}, "task_name": "t"}',
        '{"scores": {"test": [{"main_score": null, "hf_subset": "en"}]}, "task_name": "t"}',
    ],
)
def test_a_broken_file_is_named_and_the_others_count(write, tmp_path, content):
    """Protects a table of many files from one that is damaged."""
    write("Good")
    bad = write("Bad")
    bad.write_text(content)
    failures = []
    (found,) = collect_results([tmp_path / "mteb"], failures.append)
    assert found.task == "Good (mteb, train)"
    (failure,) = failures
    assert str(bad) in str(failure)
    with pytest.raises(TaskError, match="evaluate again with mteb 2"):
        read_mteb_result(bad)


def test_two_revisions_of_a_model_are_refused(write, tmp_path):
    """Protects against a mean over two versions of a model."""
    write()
    write(revision="def")
    with pytest.raises(InputError, match=r"two results of hear-aesthetics/mini on GTZANGenre"):
        collect_results([tmp_path])


def test_both_benchmarks_of_a_model_share_a_column_and_no_mean(write, tmp_path, monkeypatch):
    """Protects the one table, and its means from each other."""
    module = "hear_aesthetics.evaluation.results.leaderboard"
    folder = tmp_path / "embeddings"
    monkeypatch.setattr(f"{module}._find_results", lambda f: [f] if f == folder else [path])
    monkeypatch.setattr(f"{module}.read_result", lambda f: hear_result())
    path = write()
    board = make_leaderboard(collect_results([folder, path.parent]))
    assert board.models == ("hear_aesthetics",)
    assert board.mean("hear_aesthetics") == (0.6, 1)
    lines = text.as_markdown(board).splitlines()
    assert lines[2:6] == [
        "| ESC-50 | top1_acc | 0.600 [0.500, 0.700] |",
        "| mean normalised |  | 0.600 (1 task) |",
        "| GTZANGenre (mteb, train) | accuracy | 0.500 |",
        "| mean of mteb tasks |  | 0.500 (1 task) |",
    ]
    assert "mteb states no intervals" in lines[-1]
    assert text.as_csv(board).splitlines()[1] == "hear_aesthetics,,,0.6,0.5"
    card = text.card(board, "hear_aesthetics")
    assert "- Model: hear-aesthetics/mini, revision abc" in card
    assert card.index("## HEAR benchmark") < card.index("## mteb benchmark")
    draw_leaderboard(tmp_path / "board.png", board)


def test_another_model_is_joined_by_its_alias_only(write, tmp_path):
    """Protects a model from the results of another that is called alike."""
    write(name="org/model")
    (alone,) = collect_results([tmp_path])
    (joined,) = collect_results([tmp_path], aliases={"org/model": "my_module"})
    assert (alone.model, joined.model) == ("org/model", "my_module")


def test_the_column_says_by_which_protocol_the_hear_tasks_ran(write):
    """Protects the mark of another protocol where mteb's tasks share its column."""
    official = hear_result("hear-aesthetics/mini", protocol="official", interval=None)
    board = make_leaderboard([official, read_mteb_result(write())])
    assert board.models == ("hear-aesthetics/mini (official)",)
