"""HEAR task folders: metadata, vocabulary and labels, validated when they are read.

A folder holds ``task_metadata.json``, ``labelvocabulary.csv`` and one ``<split>.json`` per split;
task folders add audio in ``<sample rate>/<split>/``, embedding folders the files of
:mod:`hear_aesthetics.evaluation.embeddings.rows`. Times are in milliseconds. Every violation is one
:class:`~hear_aesthetics.errors.TaskError` that names the file and the key.
"""

from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NewType

from hear_aesthetics.errors import TaskError
from hear_aesthetics.evaluation.tasks import schema
from hear_aesthetics.evaluation.tasks.event_postprocessing import DEFAULT_GRID
from hear_aesthetics.evaluation.tasks.scores import SCORES, Score, make_scores

__all__ = [
    "METADATA_FILE",
    "VOCABULARY_FILE",
    "EmbeddedTask",
    "Run",
    "Task",
    "find_tasks",
    "load_task",
]

METADATA_FILE = "task_metadata.json"
VOCABULARY_FILE = "labelvocabulary.csv"

TVT_SPLITS = ("train", "valid", "test")
_SEARCH_DEPTH = 3  # the published archives unpack to hear-2021.0.6/tasks/<task>


@dataclass(frozen=True)
class Run:
    """Splits of one training; the test split names it."""

    train: tuple[str, ...]
    valid: str
    test: str


@dataclass(frozen=True)
class Task:
    """A validated task: the keys of ``task_metadata.json`` in use, and the vocabulary."""

    folder: Path
    task_name: str
    embedding_type: str
    prediction_type: str
    split_mode: str
    splits: tuple[str, ...]
    sample_duration: float | None
    evaluation: tuple[str, ...]
    labels: tuple[str, ...]
    mode: str = ""  # such as full, 5h or small: which part of the data set
    use_scoring_for_early_stopping: bool = True
    postprocessing_grid: dict[str, tuple[float, ...]] = field(default_factory=dict)
    param_grid: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    top_tier_thresholds: tuple[float, ...] = ()
    skip_undefined: bool = False  # scores leave out labels for which they are undefined

    @property
    def is_event(self) -> bool:
        """True for an event task, whose rows are timestamps and not whole files."""
        return self.embedding_type == "event"

    @property
    def runs(self) -> tuple[Run, ...]:
        """Train, valid and test of every training: one, or one per fold in sorted order."""
        if self.split_mode not in schema.K_FOLD_MODES:
            return (Run(("train",), "valid", "test"),)
        folds = sorted(self.splits)
        runs = []
        for i, test in enumerate(folds):
            valid = folds[(i + 1) % len(folds)]
            runs.append(Run(tuple(f for f in folds if f not in (test, valid)), valid, test))
        return tuple(runs)

    @property
    def audio_files(self) -> list[str]:
        """``<split>/<file>`` of every file, below the folder of a sample rate."""
        return [f"{split}/{name}" for split in self.splits for name in self.split_labels(split)]

    def label_index(self, label: Any) -> int:
        """Return a label's row in the vocabulary; ``60``, ``"60"`` and ``"060"`` are one label.

        Raises:
            KeyError: If the vocabulary has no such label.
        """
        text = str(label)
        index = self._label_index
        return index[text] if text in index else index[_as_number(text)]

    @cached_property
    def scores(self) -> tuple[Score, ...]:
        """The scores of ``evaluation``; the first drives selection."""
        return make_scores(
            self.evaluation,
            self.labels,
            self.top_tier_thresholds,
            skip_undefined=self.skip_undefined,
        )

    @property
    def score_mode(self) -> str:
        """``"max"`` if selection maximizes the first score, ``"min"`` for an error or the loss."""
        maximizes = self.use_scoring_for_early_stopping and self.scores[0].higher_is_better
        return "max" if maximizes else "min"

    @cached_property
    def _label_index(self) -> dict[Any, int]:
        """Rows by text and, where all labels are numbers, by value."""
        index: dict[Any, int] = {label: i for i, label in enumerate(self.labels)}
        numbers = {_as_number(label): i for i, label in enumerate(self.labels)}
        if len(numbers) == len(index) and all(isinstance(key, float) for key in numbers):
            index |= numbers
        return index

    def split_labels(self, split: str) -> dict[str, list[Any]]:
        """Return the labels of a split's files, in the order of ``<split>.json``.

        Raises:
            TaskError: If the file is missing or a label does not fit.
        """
        path = self.folder / f"{split}.json"
        content = schema.read_json(path)
        if not isinstance(content, dict) or not content:
            raise TaskError(f"{path}: expected an object with file names as keys, at least one")
        check = _check_events if self.is_event else _check_scene
        for name, labels in content.items():
            if not schema.is_plain(name):
                raise TaskError(f"{path}: key {name!r} cannot be a file below the folder")
            check(self, labels, f"{path}: key {name!r}")
        return content


EmbeddedTask = NewType("EmbeddedTask", Task)  # read from a folder that also holds embeddings


def find_tasks(folder: Path) -> list[Path]:
    """Return the task folders at or below ``folder``, sorted by name.

    Raises:
        TaskError: If there is none.
    """
    patterns = ["*/" * depth + METADATA_FILE for depth in range(_SEARCH_DEPTH + 1)]
    found = {path.parent for pattern in patterns for path in folder.glob(pattern)}
    if not found:
        raise TaskError(f"{folder}: no task in it; a task folder holds {METADATA_FILE}")
    return sorted(found, key=lambda path: (path.name, path))


def load_task(folder: Path) -> Task:
    """Read and validate a folder's metadata and vocabulary.

    Raises:
        TaskError: If a file is missing or a key has a value that the evaluator cannot use.
    """
    path = folder / METADATA_FILE
    data = schema.read_json(path, dict)
    read = partial(schema.read_key, data, path)
    params = read("evaluation_params") or {}
    thresholds = schema.read_key({"top_tier_thresholds": [], **params}, path, "top_tier_thresholds")
    task = Task(
        folder=folder,
        task_name=read("task_name"),
        embedding_type=read("embedding_type"),
        prediction_type=read("prediction_type"),
        split_mode=read("split_mode"),
        splits=tuple(read("splits")),
        sample_duration=read("sample_duration"),
        evaluation=tuple(read("evaluation")),
        labels=schema.read_vocabulary(folder / VOCABULARY_FILE),
        mode=str(data.get("mode", "")),
        use_scoring_for_early_stopping=bool(data.get("use_scoring_for_early_stopping", True)),
        postprocessing_grid=schema.read_grid(
            params, path, "event_postprocessing_grid", DEFAULT_GRID
        ),
        param_grid=schema.read_grid(params, path, "task_specific_param_grid", {}),
        top_tier_thresholds=tuple(thresholds),
    )
    _check_consistent(task, path)
    return task


def _as_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _check_consistent(task: Task, path: Path) -> None:
    """Check keys that depend on each other."""
    if task.is_event and task.prediction_type != "multilabel":
        raise TaskError(
            f"{path}: key 'prediction_type' is {task.prediction_type!r}; event tasks are multilabel"
        )
    kind = "event" if task.is_event else task.prediction_type
    for name in task.evaluation:
        if name not in SCORES:
            raise TaskError(
                f"{path}: key 'evaluation' names the unknown score {name!r}; "
                f"known: {', '.join(SCORES)}"
            )
        if kind not in SCORES[name].kinds:
            raise TaskError(f"{path}: key 'evaluation': {name!r} does not score {kind} tasks")
    if task.split_mode == "trainvaltest" and set(TVT_SPLITS) - set(task.splits):
        raise TaskError(f"{path}: key 'splits' must hold train, valid and test")
    if task.split_mode in schema.K_FOLD_MODES and len(set(task.splits)) < max(3, len(task.splits)):
        raise TaskError(f"{path}: key 'splits' must hold at least three different folds")
    if "tta" in task.evaluation and len(task.top_tier_thresholds) != len(task.labels):
        raise TaskError(
            f"{path}: key 'evaluation_params.top_tier_thresholds' has "
            f"{len(task.top_tier_thresholds)} values for {len(task.labels)} targets"
        )


def _check_scene(task: Task, labels: Any, where: str) -> None:
    if not isinstance(labels, list):
        raise TaskError(f"{where} is {labels!r}; expected a list of labels")
    if task.prediction_type == "regression":
        if len(labels) != len(task.labels) or not all(schema.is_number(v) for v in labels):
            raise TaskError(f"{where} is {labels!r}; expected {len(task.labels)} numbers")
        return
    if task.prediction_type == "multiclass" and len(labels) != 1:
        raise TaskError(f"{where} has {len(labels)} labels; a multiclass task needs exactly one")
    for label in labels:
        _check_label(task, label, where)


def _check_events(task: Task, events: Any, where: str) -> None:
    if not isinstance(events, list):
        raise TaskError(f"{where} is {events!r}; expected a list of events")
    for event in events:
        if not isinstance(event, dict) or {"label", "start", "end"} - set(event):
            raise TaskError(f"{where}: event {event!r} needs the keys label, start and end")
        times = event["start"], event["end"]
        if not all(schema.is_number(t) for t in times) or times[0] > times[1]:
            raise TaskError(f"{where}: event {event!r} needs start <= end in milliseconds")
        _check_label(task, event["label"], where)


def _check_label(task: Task, label: Any, where: str) -> None:
    try:
        task.label_index(label)
    except (KeyError, TypeError) as e:
        raise TaskError(f"{where}: label {label!r} is not in {VOCABULARY_FILE}") from e
