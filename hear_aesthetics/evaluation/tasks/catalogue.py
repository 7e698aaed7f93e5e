"""The 19 tasks of the HEAR benchmark: published names and figures, and which folder is which.

Source: Turian et al., "HEAR: Holistic Evaluation of Audio Representations" (2022), and the
published task archives, which hold 48 kHz audio. One published task is spread over two folders
(Beehive States); two pairs share a ``task_name`` and differ in ``mode`` only.
"""

import re
from dataclasses import dataclass

from hear_aesthetics.evaluation.tasks.task import Task

__all__ = ["CATALOGUE", "PUBLISHED_RATE", "PublishedTask", "by_column", "published"]

PUBLISHED_RATE = 48_000  # Hz
_EXTRACT = "small"  # mode of the archives that are for trying things out


@dataclass(frozen=True)
class PublishedTask:
    """One task of the benchmark.

    Attributes:
        title: The published name.
        task_names: ``task_name`` of each of its folders.
        embedding_type: ``"scene"`` or ``"event"`` (timestamp embeddings).
        prediction_type: ``"multiclass"`` or ``"multilabel"``.
        folds: Of the cross-validation; 0 where train, valid and test are fixed.
        seconds: Length of a clip.
        clips: In all splits.
        score: The first score, which the leaderboard shows.
        mode: Which of two tasks of one name.
    """

    title: str
    task_names: tuple[str, ...]
    embedding_type: str
    prediction_type: str
    folds: int
    seconds: str
    clips: int
    score: str
    mode: str = ""

    def is_made_of(self, task: Task) -> bool:
        """Whether a task folder is this task, or a part of it."""
        whole = task.mode != _EXTRACT
        return whole and task.task_name in self.task_names and self.mode in ("", task.mode)


def _scene(
    title: str,
    task_name: str | tuple[str, ...],
    folds: int,
    seconds: str,
    clips: int,
    score: str = "top1_acc",
    mode: str = "",
    kind: str = "multiclass",
) -> PublishedTask:
    names = (task_name,) if isinstance(task_name, str) else task_name
    return PublishedTask(title, names, "scene", kind, folds, seconds, clips, score, mode)


def _event(
    title: str, task_name: str, folds: int, seconds: str, clips: int, score: str
) -> PublishedTask:
    return PublishedTask(title, (task_name,), "event", "multilabel", folds, seconds, clips, score)


_BEEHIVES = ("beehive_states_fold0", "beehive_states_fold1")
CATALOGUE = (
    _event("DCASE 2016 Task 2", "dcase2016_task2", 0, "120", 72, "event_onset_200ms_fms"),
    _scene("NSynth Pitch 5h", "nsynth_pitch", 0, "4", 5_000, "pitch_acc", "5h"),
    _scene("NSynth Pitch 50h", "nsynth_pitch", 0, "4", 49_060, "pitch_acc", "50h"),
    _scene("Speech Commands 5h", "speech_commands", 0, "1", 22_890, mode="5h"),
    _scene("Speech Commands full", "speech_commands", 0, "1", 100_503, mode="full"),
    _scene("Beehive States", _BEEHIVES, 0, "600", 576, "aucroc"),
    _scene("Beijing Opera Percussion", "beijing_opera", 5, "4.77", 236),
    _scene("CREMA-D", "tfds_crema_d", 5, "5", 7_438),
    _scene("ESC-50", "esc50", 5, "5", 2_000),
    _scene("FSD50K", "fsd50k", 0, "0.3-30", 51_185, "mAP", kind="multilabel"),
    _scene("Gunshot Triangulation", "gunshot_triangulation", 7, "1.5", 88),
    _scene("GTZAN Genre", "tfds_gtzan", 10, "30", 1_000),
    _scene("GTZAN Music Speech", "tfds_gtzan_music_speech", 10, "30", 128),
    _scene("LibriCount", "libricount", 5, "5", 5_720),
    _event("MAESTRO 5h", "maestro", 5, "120", 185, "event_onset_50ms_fms"),
    _scene("Mridangam Stroke", "mridangam_stroke", 5, "0.81", 6_977),
    _scene("Mridangam Tonic", "mridangam_tonic", 5, "0.81", 6_977),
    _scene("Vocal Imitations", "vocal_imitation", 3, "11.26", 5_601, "mAP"),
    _scene("VoxLingua107 Top 10", "vox_lingua_top10", 5, "18.64", 972),
)


def published(task: Task) -> PublishedTask | None:
    """The published task that a folder holds, or a part of; None if it is another task.

    The small extracts that the benchmark offers for trying things out are other tasks: their scores
    mean something else.
    """
    return next((entry for entry in CATALOGUE if entry.is_made_of(task)), None)


def by_column(column: str) -> PublishedTask | None:
    """The task that a column of the official leaderboard names, more or less.

    >>> by_column("GTZAN Music/Speech").title, by_column("DCASE 2016").title, by_column("Notes")
    ('GTZAN Music Speech', 'DCASE 2016 Task 2', None)
    """
    key = _letters(column)
    exact = [entry for entry in CATALOGUE if _letters(entry.title) == key]
    alike = exact or [entry for entry in CATALOGUE if key and _letters(entry.title).startswith(key)]
    return alike[0] if len(alike) == 1 else None


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
