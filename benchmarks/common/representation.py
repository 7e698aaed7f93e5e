"""Tasks, splits and probe of the pretrained encoders, fixed before any was trained.

Every contender sees the same splits, so differences are paired. A split has three parts: the probe
is fitted on ``train``; layer and pooling are chosen on ``valid``, by the mean over all tasks and
splits; ``test`` is reported. Groups (speakers, instruments) never lie in two parts.

- commands: ``speech_commands_pooled``, all clips; groups are speakers, a silence is its own group.
- digits100: ``fsdd_digit``, 10 training clips of each digit, 500 valid, 1,000 test.
- speakers: ``fsdd_digit``, one speaker tests, one validates, 1,000 clips of the other four train.
- pitch, chord: rendered notes (36 pitches) and chords (5 kinds); groups are instruments.

The probe is ridge regression onto the classes after standardisation, its penalty chosen by
leave-one-out on the training part alone: closed form, without seed or schedule.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.preprocessing import StandardScaler

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.evaluation.tasks.task import load_task
from hear_aesthetics.spec import SAMPLE_RATE
from hear_aesthetics.synthesis import INSTRUMENTS, render_note
from hear_aesthetics.synthesis.sound.timbres import vary

__all__ = ["SPLITS", "Split", "TaskData", "accuracy", "difference", "real_tasks", "rendered_tasks"]

SPLITS = 20
PENALTIES = np.logspace(0, 6, 13)
COMMANDS, DIGITS = "speech_commands_pooled-1.0.0-small", "fsdd_digit-1.0.0-full"
CHORDS = {"major": (0, 4, 7), "minor": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8),
          "seventh": (0, 4, 7, 10)}  # fmt: skip
PITCHES = range(48, 84)
PER_INSTRUMENT = 40  # rendered clips
SECONDS = 1.0


@dataclass(frozen=True)
class Split:
    """Rows of the three parts of a task."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class TaskData:
    """Clips of equal length at 24 kHz, their classes, and the splits."""

    name: str
    clips: np.ndarray
    labels: np.ndarray
    splits: tuple[Split, ...]


def real_tasks(folder: Path, splits: int = SPLITS) -> Iterator[TaskData]:
    """Yield the three real tasks, from HEAR task folders at any sample rate."""
    names, clips, labels = _read(folder / COMMANDS)
    groups = [n if n.startswith("_silence_") else n.split("_")[1] for n in names]
    yield TaskData("commands", clips, labels, tuple(_grouped(groups, splits)))
    names, clips, labels = _read(folder / DIGITS)
    yield TaskData("digits100", clips, labels, tuple(_few(labels, splits)))
    speakers = np.array([name.split("_")[1] for name in names])
    yield TaskData("speakers", clips, labels, tuple(_held_out(speakers, splits)))


def rendered_tasks(splits: int = SPLITS) -> Iterator[TaskData]:
    """Yield the tasks of pitch and chord kinds, on instruments outside the training part."""
    rng = np.random.default_rng(2)
    kinds = list(CHORDS)
    for name in ("pitch", "chord"):
        clips, labels, groups = [], [], []
        for instrument in sorted(INSTRUMENTS):
            for index in range(PER_INSTRUMENT):
                root = int(rng.choice(PITCHES))
                label = root if name == "pitch" else index % len(kinds)
                chord = (0,) if name == "pitch" else CHORDS[kinds[label]]
                timbre, clip = vary(INSTRUMENTS[instrument], rng), np.zeros(SAMPLE_RATE)
                for step in chord:
                    note = render_note(timbre, root + step, SECONDS, 0.7, SAMPLE_RATE, rng)
                    clip += note[:SAMPLE_RATE]
                clips.append(rng.uniform(0.05, 0.5) * clip / np.abs(clip).max())
                labels.append(label)
                groups.append(instrument)
        yield TaskData(
            name,
            np.array(clips, np.float32),
            np.array(labels),
            tuple(_grouped(groups, splits)),
        )


def accuracy(inputs: np.ndarray, labels: np.ndarray, split: Split) -> tuple[float, float]:
    """Return the accuracy on ``valid`` and ``test`` of a probe fitted on ``train``."""
    scaler = StandardScaler().fit(inputs[split.train])
    probe = RidgeClassifierCV(PENALTIES).fit(scaler.transform(inputs[split.train]),
                                             labels[split.train])  # fmt: skip
    valid, test = (
        float(probe.score(scaler.transform(inputs[part]), labels[part]))
        for part in (split.valid, split.test)
    )
    return valid, test


def difference(
    ours: Sequence[float], theirs: Sequence[float], task: TaskData
) -> tuple[float, float]:
    """Return the mean paired difference and its standard error.

    Splits share clips, so the plain error of the mean is too small: corrected as by Nadeau and
    Bengio (2003), by the ratio of test to training rows.
    """
    paired = np.subtract(ours, theirs)
    split = task.splits[0]
    factor = 1 / len(paired) + len(split.test) / len(split.train)
    return float(paired.mean()), float(np.sqrt(factor * paired.var(ddof=1)))


def _read(folder: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    task = load_task(folder)
    rate = max((path.name for path in folder.iterdir() if path.name.isdigit()), key=int)
    rows = [
        (name, folder / rate / split / name, task.label_index(labels[0]))
        for split in task.splits
        for name, labels in task.split_labels(split).items()
    ]
    rows.sort(key=lambda row: row[0])
    waves = [load_audio(path) for _, path, _ in rows]
    samples = max(map(len, waves))
    clips = np.stack([np.pad(wave, (0, samples - len(wave))) for wave in waves])
    return [row[0] for row in rows], clips, np.array([row[2] for row in rows])


def _grouped(groups: Sequence[str], splits: int) -> Iterator[Split]:
    """Yield splits of half of the groups for training, a quarter for validation and for test."""
    names, rows = np.unique(groups), np.array(groups)
    for seed in range(splits):
        order = np.random.default_rng((1, seed)).permutation(names)
        cuts = np.split(order, [len(order) // 2, 3 * len(order) // 4])
        yield Split(*(np.flatnonzero(np.isin(rows, part)) for part in cuts))


def _few(labels: np.ndarray, splits: int) -> Iterator[Split]:
    for seed in range(splits):
        order = np.random.default_rng((2, seed)).permutation(len(labels))
        train = np.concatenate([order[labels[order] == k][:10] for k in np.unique(labels)])
        rest = order[~np.isin(order, train)]
        yield Split(train, rest[:500], rest[500:1500])


def _held_out(speakers: np.ndarray, splits: int) -> Iterator[Split]:
    names = np.unique(speakers)
    pairs = [(a, b) for a in names for b in names if a != b]
    chosen = np.random.default_rng(3).permutation(len(pairs))
    for seed in range(splits):
        test, valid = pairs[chosen[seed % len(pairs)]]
        order = np.random.default_rng((3, seed)).permutation(len(speakers))
        others = order[(speakers[order] != test) & (speakers[order] != valid)]
        yield Split(others[:1000], np.flatnonzero(speakers == valid),
                    np.flatnonzero(speakers == test))  # fmt: skip
