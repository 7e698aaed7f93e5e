"""A set of scorers that read one decoding and one encoder pass, and the columns they answer in.

Columns are the dimensions of the first scorer under their own names, then those of each further
one with its name before them (``songeval:Clarity``). ``mean`` stands for the mean of the first
scorer's columns, ``songeval:mean`` for that of another.

Heads and other batch scorers work on whole batches where the features are, and have windows if they
say so; a plain scorer of another package gets what it reads of one clip at a time, on the CPU, and
has no windows.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.audio.waveforms import ENCODER_FORMAT, WaveformFormat
from hear_aesthetics.checkpoints import ModelFiles
from hear_aesthetics.errors import AudioError, HearAestheticsError, InputError
from hear_aesthetics.features.fusion import Features, HiddenState
from hear_aesthetics.model import HearModel
from hear_aesthetics.scorers import (
    FUSED,
    BatchScorer,
    Scorer,
    Windows,
    hidden_states,
    least_samples,
    reads_of,
    waveform_formats,
)
from songeval_task.scoring.head_scorers import HeadScorer
from songeval_task.scoring.judges.muq_eval import WINDOWS, MuQEvalScorer, WindowChoice
from songeval_task.scoring.windows import (
    EXPLAIN_SECONDS,
    HOP_SECONDS,
    WINDOW_SECONDS,
    disjoint_windows,
    sliding_windows,
)
from songeval_task.uncertainty.calibration import (
    COVERAGE,
    Calibration,
    read_calibration,
)

__all__ = ["HIGH", "LOW", "NOVELTY", "Detail", "Outputs", "ScorerSet"]

LOW, HIGH, NOVELTY = "_low", "_high", "novelty"  # end the names of columns

Outputs = Mapping[str, Tensor]
Detail = list[dict[str, float | None]]  # per window: start and end (seconds of the file), values


class ScorerSet:
    """Scorers by name, in the order of the columns.

    Args:
        scorers: Name -> scorer.

    Attributes:
        groups: Scorer name -> its columns.
        means: Scorer name -> the column of its mean.
        columns: All score columns, without means.
        batched: Those of them that work on batches.
        heads: Those of these that read features and may be calibrated.
        reads: Names of what they read.
        states: The hidden states among these, as ``extract`` takes them.
        encodes: Further hidden states, which scorers compute themselves.
        formats: Formats of the audio that is needed, what the encoders hear first.
        min_frames: Fewest frames that all heads can score.
        min_samples: Fewest samples at 24 kHz that all scorers can score.
        coverage: Share of ratings that intervals of calibrated heads are to hold.

    Raises:
        InputError: If a scorer reads what does not exist; names it.
    """

    coverage: float = COVERAGE

    def __init__(self, scorers: Mapping[str, Scorer]) -> None:
        self.scorers = dict(scorers)
        self.batched = {n: s for n, s in self.scorers.items() if isinstance(s, BatchScorer)}
        self.heads = {n: s for n, s in self.scorers.items() if isinstance(s, HeadScorer)}
        for name, scorer in self.scorers.items():
            _check_reads(name, scorer)
        first = next(iter(self.scorers))
        prefixes = {name: "" if name == first else f"{name}:" for name in self.scorers}
        self.groups = {
            name: tuple(prefixes[name] + column for column in scorer.columns)
            for name, scorer in self.scorers.items()
        }
        self.means = {name: f"{prefix}mean" for name, prefix in prefixes.items()}
        self.columns = tuple(column for group in self.groups.values() for column in group)
        self.reads = tuple(dict.fromkeys(r for s in self.scorers.values() for r in reads_of(s)))
        self.states = hidden_states(self.reads)
        self.encodes = hidden_states(r for s in self.batched.values() for r in s.encodes)
        self.formats = waveform_formats(self.reads)
        self.min_frames = max([head.head.min_frames for head in self.heads.values()], default=1)
        self.min_samples = max(map(least_samples, self.scorers.values()))

    @property
    def reads_features(self) -> bool:
        """Whether a scorer reads what the encoders make of the whole clip."""
        return bool(self.states) or FUSED in self.reads

    @property
    def needs_model(self) -> bool:
        """Whether a scorer reads or computes features."""
        return self.reads_features or bool(self.encodes)

    @property
    def gives(self) -> frozenset[str]:
        """Outputs besides scores that a scorer has: ``timeline``, ``explain``."""
        return frozenset().union(*(scorer.gives for scorer in self.batched.values()))

    @property
    def all_columns(self) -> tuple[str, ...]:
        """Score columns, the mean of each scorer after its own."""
        return tuple(c for name, group in self.groups.items() for c in (*group, self.means[name]))

    @property
    def calibrated(self) -> dict[str, Calibration]:
        """Name of a head -> its calibration, of those that have one."""
        return {n: head.calibration for n, head in self.heads.items() if head.calibration}

    @property
    def interval_columns(self) -> tuple[str, ...]:
        """Ends of the interval of each calibrated column, then the novelty of the song."""
        columns: list[str] = []
        for name in self.calibrated:
            scored = (*self.groups[name], self.means[name])
            columns += [f"{column}{end}" for column in scored for end in (LOW, HIGH)]
            columns.append(self._beside(name, NOVELTY))
        return tuple(columns)

    @property
    def name(self) -> str:
        """Names of the scorers, joined by ``+``."""
        return "+".join(self.scorers)

    @property
    def demo(self) -> bool:
        """Whether a scorer is untrained or a demonstration, whose scores say nothing."""
        return bool(self.demo_heads)

    @property
    def demo_heads(self) -> list[str]:
        """Names of those."""
        return [name for name, s in self.scorers.items() if getattr(s, "demo", False)]

    def provenance(self) -> list[dict[str, Any]]:
        """Return what each scorer says of itself."""
        records = []
        for name, scorer in self.scorers.items():
            describe: Callable[[], dict[str, Any]] = getattr(scorer, "provenance", dict)
            records.append({**describe(), "head": name})
        return records

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the scores; a scorer without a fingerprint gives its provenance."""
        return {
            name: getattr(scorer, "fingerprint", getattr(scorer, "provenance", dict))()
            for name, scorer in self.scorers.items()
        } | self._calibration_fingerprint()

    def _calibration_fingerprint(self) -> dict[str, Any]:
        if not self.calibrated:
            return {}
        hashes = {name: found.sha256 for name, found in self.calibrated.items()}
        return {"calibrations": {**hashes, "coverage": self.coverage}}

    @property
    def notes(self) -> dict[str, str]:
        """Column -> what every row says of how a scorer scored."""
        return {
            self._beside(name, column): note
            for name, scorer in self.batched.items()
            for column, note in scorer.notes.items()
        }

    def settle(self, files: ModelFiles | None, precision: str) -> tuple[HiddenState, ...]:
        """Return the hidden states that scorers will compute themselves with a model.

        Arguments as :meth:`BatchScorer.settle`.
        """
        return hidden_states(r for s in self.batched.values() for r in s.settle(files, precision))

    def take_window(self, window: WindowChoice) -> None:
        """Have MuQ-Eval score these windows.

        Raises:
            InputError: If it is not among the scorers, or there is no such choice.
        """
        if window not in WINDOWS:
            raise InputError(f"window is {window!r}; it takes {', '.join(WINDOWS)}")
        judges = [s for s in self.batched.values() if isinstance(s, MuQEvalScorer)]
        if not judges:
            raise InputError(f"--window is for muq-eval; {self.name} scores the whole song")
        for judge in judges:
            judge.window = window

    def calibrate(self, files: Iterable[Path], coverage: float | None = None) -> None:
        """Give heads their calibrations.

        Args:
            files: Calibration files, each of one of the heads; over what heads have themselves.
            coverage: Share of ratings that intervals are to hold; None: as it is.

        Raises:
            InputError: If a file is no calibration, or of none of these heads.
        """
        for path in files:
            found = read_calibration(path)
            errors = []
            for head in self.heads.values():
                try:
                    head.calibrate(path, found)
                    break
                except InputError as error:
                    errors.append(error)
            else:
                raise errors[0] if errors else InputError(f"{path}: there is no head to calibrate")
        self.coverage = self.coverage if coverage is None else coverage

    def attach(self, model: HearModel) -> None:
        """Give scorers the model that they read from, and move them to its device.

        Raises:
            InputError: If a head takes features of another width than the model makes.
        """
        for scorer in self.batched.values():
            scorer.attach(model)

    def to(self, device: torch.device) -> None:
        """Move the scorers to a device."""
        for scorer in self.batched.values():
            scorer.to(device)

    def compute(
        self, features: Features, *, timeline: bool = False, explain: bool = False
    ) -> dict[str, Tensor]:
        """Compute all outputs of a batch, which is the first axis of every tensor."""
        outputs: dict[str, Tensor] = {}
        # A hidden state may be a frame longer than the fused feature; windows are those of both.
        frames = min([scorer.frames(features) for scorer in self.batched.values()], default=0)
        asked = Windows(
            sliding_windows(frames) if timeline else (), disjoint_windows(frames) if explain else ()
        )
        for name, scorer in self.batched.items():
            windows = Windows(
                asked.timeline if "timeline" in scorer.gives else (),
                asked.explain if "explain" in scorer.gives else (),
            )
            for kind, output in scorer.compute(features, windows).items():
                outputs[f"{kind} {name}"] = output
        others = [s for name, s in self.scorers.items() if name not in self.batched]
        for read in dict.fromkeys(r for scorer in others for r in reads_of(scorer)):
            outputs[read] = features.read(read)
        return outputs

    def table(self, outputs: Outputs, rows: Sequence[Mapping[str, Any]]) -> Tensor:
        """Return the scores of a batch, ``(B, columns)``, from the outputs of :meth:`compute`.

        Raises:
            HearAestheticsError: If a scorer of another package fails; names it and the clip.
        """
        columns = []
        for name, scorer in self.scorers.items():
            if name in self.batched:
                columns.append(outputs[f"scores {name}"])
                continue
            parts = (_features(outputs, reads_of(scorer), index) for index in range(len(rows)))
            values = [_ask(name, scorer, part, row) for part, row in zip(parts, rows, strict=True)]
            columns.append(torch.tensor(values, dtype=torch.float32))
        return torch.cat([column.to(columns[0].device) for column in columns], dim=1)

    def values(self, outputs: Outputs, row: Mapping[str, Any]) -> dict[str, float]:
        """Return column -> score of one clip, whose outputs have no batch axis.

        Raises:
            AudioError: If a score is not finite.
        """
        batch = {name: tensor[None] for name, tensor in outputs.items()}
        values = dict(zip(self.columns, self.table(batch, [row])[0].tolist(), strict=True))
        odd = [column for column, value in values.items() if not math.isfinite(value)]
        if odd:
            raise AudioError(
                f"{row['path']}: the scores of {', '.join(odd)} are not finite; "
                "try precision float32"
            )
        return values

    def intervals(
        self, outputs: Outputs, values: Mapping[str, float]
    ) -> dict[str, tuple[float, float]]:
        """Return column -> ends of its interval, of one clip of calibrated heads.

        Ends lie within the scale of the head; they are infinite where the calibration songs are too
        few for the coverage.

        Args:
            outputs: Outputs of the clip, without their batch axis.
            values: Column -> score, means included.
        """
        found: dict[str, tuple[float, float]] = {}
        for name, calibration in self.calibrated.items():
            columns = (*self.groups[name], self.means[name])
            preds = np.array([[values[column] for column in columns]])
            distance = outputs[f"distance {name}"].numpy()[None]
            ends = calibration.intervals(preds, distance, self.coverage)
            scale = self.heads[name].head.config
            low, high = (
                np.where(np.isfinite(end), end.clip(scale.low, scale.high), end)[0] for end in ends
            )
            found |= dict(zip(columns, zip(low.tolist(), high.tolist(), strict=True), strict=True))
        return found

    def novelty(self, outputs: Outputs) -> dict[str, float]:
        """Return column -> novelty of one clip by each calibrated head, 0 to 100."""
        return {
            self._beside(name, NOVELTY): float(
                calibration.novelty(outputs[f"distance {name}"].numpy()[None])[0]
            )
            for name, calibration in self.calibrated.items()
        }

    def distances(self, outputs: Outputs) -> dict[str, float]:
        """Return name of each calibrated head -> distance of one clip from its reference songs."""
        return {name: float(outputs[f"distance {name}"]) for name in self.calibrated}

    def _beside(self, name: str, column: str) -> str:
        """Return the name of a column that belongs to a scorer, as its mean is called."""
        return self.means[name].removesuffix("mean") + column

    def mean_values(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return column -> mean of the scores of each scorer."""
        return {
            self.means[name]: math.fsum(values[column] for column in group) / len(group)
            for name, group in self.groups.items()
        }

    def timeline(self, outputs: Outputs, start: float, duration: float) -> Detail:
        """Return scores of windows of 30 s, one every 10 s; the last one ends with the clip.

        Scorers that have no windows have no columns in them.

        Args:
            outputs: Outputs of one clip, without their batch axis.
            start: Beginning of the clip in its file, in seconds.
            duration: Duration of the clip, in seconds.
        """
        return self._detail(outputs, "timeline", HOP_SECONDS, WINDOW_SECONDS, start, duration)

    def explanation(self, outputs: Outputs, start: float, duration: float) -> Detail:
        """Return, per window of 10 s, how the scores change without it, and its attention.

        Arguments as :meth:`timeline`. ``attention`` is the window's share in the vector that the
        head pools, the shares of a clip sum to 1; heads that do not pool by attention have none.
        """
        seconds = EXPLAIN_SECONDS
        records = self._detail(outputs, "explain", seconds, seconds, start, duration)
        for record in records[-1:]:  # may be longer than the others
            record["end"] = start + duration
        for name in self.means:
            if (shares := outputs.get(f"attention {name}")) is not None:
                for record, share in zip(records, shares.tolist(), strict=True):
                    record[self._beside(name, "attention")] = share
        return records

    def _detail(
        self, outputs: Outputs, kind: str, hop: int, seconds: int, start: float, duration: float
    ) -> Detail:
        """Return the windows of a kind of outputs, of so many seconds, one every ``hop``."""
        tables = {
            name: outputs[f"{kind} {name}"].tolist()
            for name, scorer in self.batched.items()
            if kind in scorer.gives
        }
        begins = [i * hop for i in range(max(map(len, tables.values()), default=0))]
        records: Detail = [
            {"start": start + begin, "end": start + min(begin + seconds, duration)}
            for begin in begins
        ]
        for name, table in tables.items():
            for record, scores in zip(records, table, strict=True):
                for column, score in zip(self.groups[name], scores, strict=True):
                    record[column] = None if math.isnan(score) else score
        return records


def _ask(name: str, scorer: Scorer, features: Features, row: Mapping[str, Any]) -> list[float]:
    """Return the answer of a scorer of another package, which may fail in any way."""
    try:
        answer = scorer(features, row)
        return [float(answer[column]) for column in scorer.columns]
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise HearAestheticsError(f"{row['path']}: scorer {name} failed ({what})") from error


def _features(outputs: Outputs, reads: Sequence[str], index: int) -> Features:
    """Return the features of one clip; what its scorer does not read is empty."""
    parts = {name: outputs[name][index : index + 1].cpu() for name in reads}
    fused = parts.pop(FUSED, torch.empty(1, 0, 0))
    waveforms = {name: parts.pop(name) for name in reads if WaveformFormat.names(name)}
    states = {HiddenState.parse(name): state for name, state in parts.items()}
    return Features(fused, states, waveforms)


def _check_reads(name: str, scorer: Scorer) -> None:
    """Check that there is what a scorer reads."""
    reads = getattr(scorer, "reads", (FUSED,))
    if isinstance(reads, str) or not reads:
        raise InputError(
            f"scorer {name}: reads is {reads!r}; write names in it, such as ('fused',)"
        )
    try:
        hidden_states(reads)
        waveform_formats(reads)
    except InputError as error:
        known = f"a scorer reads '{FUSED}', hidden states and waveforms such as '{ENCODER_FORMAT}'"
        raise InputError(f"scorer {name}: {error}; {known}") from error
