"""Every way a task folder can be wrong is one line that names the file and the key."""

import pytest

from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.tasks.task import Run, find_tasks, load_task

FOLDS = ["fold02", "fold00", "fold01", "fold03"]


def test_a_valid_folder_loads_with_heareval_defaults(make_task):
    task = load_task(make_task())
    assert task.runs == (Run(("train",), "valid", "test"),)
    assert task.use_scoring_for_early_stopping
    assert task.postprocessing_grid["min_duration"] == (125, 250)
    assert [s.name for s in task.scores] == ["top1_acc"]
    assert list(task.split_labels("train")) == [f"train_{i}.wav" for i in range(4)]


def test_folds_are_sorted_and_validation_is_the_next_one(make_task):
    runs = load_task(make_task(split_mode="new_split_kfold", splits=FOLDS)).runs
    assert runs[0] == Run(("fold02", "fold03"), "fold01", "fold00")
    assert runs[-1] == Run(("fold01", "fold02"), "fold00", "fold03")
    assert len(runs) == 4


@pytest.mark.parametrize("label", [60, "60", "060", 60.0])
def test_numeric_labels_match_however_they_are_written(make_task, label):
    assert load_task(make_task(labels=("059", "060"))).label_index(label) == 1


def test_text_labels_match_exactly(make_task):
    task = load_task(make_task(labels=("1", "one")))
    assert task.label_index(1) == 0
    with pytest.raises(KeyError):
        task.label_index("01")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task_name": None}, r"task_metadata.json: key 'task_name' is missing"),
        ({"embedding_type": "frame"}, r"'embedding_type' is 'frame'; expected one of scene, event"),
        ({"prediction_type": "ranking"}, r"'prediction_type' is 'ranking'"),
        ({"split_mode": "kfold"}, r"'split_mode' is 'kfold'.*new_split_kfold"),
        ({"splits": "train"}, r"'splits' is 'train'; expected a list of names"),
        ({"splits": ["train", "test"]}, r"'splits' must hold train, valid and test"),
        ({"split_mode": "presplit_kfold", "splits": ["a", "b"]}, r"at least three different folds"),
        ({"sample_duration": -1}, r"'sample_duration' is -1; expected seconds"),
        ({"evaluation": []}, r"'evaluation' is \[\]"),
        ({"evaluation": ["accuracy"]}, r"unknown score 'accuracy'; known: top1_acc"),
        ({"evaluation": ["segment_1s_er"]}, r"'segment_1s_er' does not score multiclass tasks"),
        ({"evaluation_params": {"task_specific_param_grid": {"lr": 1}}}, r"param_grid' is .*lists"),
        (
            {"prediction_type": "regression", "evaluation": ["lcc", "tta"]},
            r"top_tier_thresholds' has 0 values for 2 targets",
        ),
    ],
)
def test_bad_metadata_is_one_line_with_file_and_key(make_task, changes, message):
    with pytest.raises(TaskError, match=message) as error:
        load_task(make_task(**changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "labelvocabulary.csv: missing"),
        ("label,idx\n", "at least one row"),
        ("idx,name\n0,a\n", "expected the header idx,label"),
        ("idx,label\n0,a\n0,b\n", "must hold 0 to 1, each once"),
        ("idx,label\nx,a\n", "whole numbers"),
    ],
)
def test_bad_vocabulary_is_refused(make_task, text, message):
    folder = make_task()
    path = folder / "labelvocabulary.csv"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(TaskError, match=message):
        load_task(folder)


EVENT = {
    "embedding_type": "event",
    "prediction_type": "multilabel",
    "evaluation": ["segment_1s_er"],
}
REGRESSION = {"prediction_type": "regression", "evaluation": ["lcc"]}


@pytest.mark.parametrize(
    ("kind", "labels", "message"),
    [
        ({}, "high", r"train.json: key 'a.wav' is 'high'; expected a list"),
        ({}, ["high", "low"], r"has 2 labels; a multiclass task needs exactly one"),
        ({}, ["middle"], r"label 'middle' is not in labelvocabulary.csv"),
        (REGRESSION, [3.5], r"is \[3.5\]; expected 2 numbers"),
        (REGRESSION, [3.5, float("nan")], r"expected 2 numbers"),
        (EVENT, ["high"], r"event 'high' needs the keys label, start and end"),
        (EVENT, [{"label": "high", "start": 9, "end": 1}], r"needs start <= end"),
        (EVENT, [{"label": "mid", "start": 0, "end": 1}], r"label 'mid' is not in"),
    ],
)
def test_bad_labels_are_one_line_with_file_and_key(make_task, kind, labels, message):
    task = load_task(make_task(split_labels={"train": {"a.wav": labels}}, **kind))
    with pytest.raises(TaskError, match=message) as error:
        task.split_labels("train")
    assert "\n" not in str(error.value)


def test_missing_empty_and_broken_split_files_are_refused(make_task):
    task = load_task(make_task(split_labels={"train": {}}))
    with pytest.raises(TaskError, match=r"train.json: expected an object.*at least one"):
        task.split_labels("train")
    with pytest.raises(TaskError, match=r"valid.json: missing"):
        task.split_labels("valid")
    (task.folder / "test.json").write_text("{")
    with pytest.raises(TaskError, match=r"test.json: is not JSON"):
        task.split_labels("test")


def test_tasks_are_found_inside_an_unpacked_archive(make_task, tmp_path):
    folder = make_task()
    nested = tmp_path / "tasks/hear-2021.0.6/tasks"
    nested.mkdir(parents=True)
    folder.rename(nested / folder.name)
    (tmp_path / "tasks/README.md").touch()
    assert find_tasks(tmp_path / "tasks") == [nested / folder.name]
    assert find_tasks(nested / folder.name) == [nested / folder.name]
    with pytest.raises(TaskError, match="no task in it"):
        find_tasks(tmp_path / "empty")
