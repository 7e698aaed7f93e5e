"""Catalogue of the 19 tasks of the HEAR benchmark: published names, figures and folders.

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
    """One task of the benchmark; ``score`` is the first, which the leaderboard shows."""

    title: str
    task_names: tuple[str, ...]  # of each of its folders
    folds: int  # 0 where train, valid and test are fixed
    seconds: str  # of a clip
    clips: int  # in all splits
    score: str = "top1_acc"
    mode: str = ""  # of the folder, for a task that shares its task_name
    embedding_type: str = "scene"
    prediction_type: str = "multiclass"


_BEEHIVES = ("beehive_states_fold0", "beehive_states_fold1")
_EVENT = {"embedding_type": "event", "prediction_type": "multilabel"}
_DCASE_SCORE, _MAESTRO_SCORE = "event_onset_200ms_fms", "event_onset_50ms_fms"
CATALOGUE = (
    PublishedTask("DCASE 2016 Task 2", ("dcase2016_task2",), 0, "120", 72, _DCASE_SCORE, **_EVENT),
    PublishedTask("NSynth Pitch 5h", ("nsynth_pitch",), 0, "4", 5_000, "pitch_acc", "5h"),
    PublishedTask("NSynth Pitch 50h", ("nsynth_pitch",), 0, "4", 49_060, "pitch_acc", "50h"),
    PublishedTask("Speech Commands 5h", ("speech_commands",), 0, "1", 22_890, mode="5h"),
    PublishedTask("Speech Commands full", ("speech_commands",), 0, "1", 100_503, mode="full"),
    PublishedTask("Beehive States", _BEEHIVES, 0, "600", 576, "aucroc"),
    PublishedTask("Beijing Opera Percussion", ("beijing_opera",), 5, "4.77", 236),
    PublishedTask("CREMA-D", ("tfds_crema_d",), 5, "5", 7_438),
    PublishedTask("ESC-50", ("esc50",), 5, "5", 2_000),
    PublishedTask("FSD50K", ("fsd50k",), 0, "0.3-30", 51_185, "mAP", prediction_type="multilabel"),
    PublishedTask("Gunshot Triangulation", ("gunshot_triangulation",), 7, "1.5", 88),
    PublishedTask("GTZAN Genre", ("tfds_gtzan",), 10, "30", 1_000),
    PublishedTask("GTZAN Music Speech", ("tfds_gtzan_music_speech",), 10, "30", 128),
    PublishedTask("LibriCount", ("libricount",), 5, "5", 5_720),
    PublishedTask("MAESTRO 5h", ("maestro",), 5, "120", 185, _MAESTRO_SCORE, **_EVENT),
    PublishedTask("Mridangam Stroke", ("mridangam_stroke",), 5, "0.81", 6_977),
    PublishedTask("Mridangam Tonic", ("mridangam_tonic",), 5, "0.81", 6_977),
    PublishedTask("Vocal Imitations", ("vocal_imitation",), 3, "11.26", 5_601, "mAP"),
    PublishedTask("VoxLingua107 Top 10", ("vox_lingua_top10",), 5, "18.64", 972),
)


def published(task: Task) -> PublishedTask | None:
    """Return the published task that a folder holds, or a part of; None if it is another task.

    The small extracts that the benchmark offers for trying things out are other tasks: their scores
    mean something else.
    """
    alike = (entry for entry in CATALOGUE if task.task_name in entry.task_names)
    whole = task.mode != _EXTRACT
    return next((entry for entry in alike if whole and entry.mode in ("", task.mode)), None)


def by_column(column: str) -> PublishedTask | None:
    """Return the task that a column of the official leaderboard abbreviates; None if it is unclear.

    >>> by_column("GTZAN Music/Speech").title, by_column("DCASE 2016").title, by_column("Notes")
    ('GTZAN Music Speech', 'DCASE 2016 Task 2', None)
    """
    key = _letters(column)
    exact = [entry for entry in CATALOGUE if _letters(entry.title) == key]
    alike = exact or [entry for entry in CATALOGUE if key and _letters(entry.title).startswith(key)]
    return alike[0] if len(alike) == 1 else None


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
