"""Feature scorer: features in files to scores, by heads alone, without the encoders they are of.

A file holds float32 features ``(1, frames, dim)``, as the released extraction and
``embed --kind features --format npy`` write them. They are taken for what the heads read: the fused
feature, or a hidden state; a file does not say which it holds, so that only the width is checked.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.audio.waveforms import WaveformFormat
from hear_aesthetics.checkpoints import CHECKPOINTS, whereabouts
from hear_aesthetics.compute.precision import usable_device
from hear_aesthetics.engine.inference import Result, run
from hear_aesthetics.errors import HearAestheticsError, InputError, WeightsUnavailableError
from hear_aesthetics.features.fusion import Features, HiddenState
from hear_aesthetics.scorers import FUSED, Scorer, reads_of
from hear_aesthetics.spec import FRAME_RATE
from songeval_task.features.released_lists import read_array
from songeval_task.scoring.head_scorers import HEARD_ALONE, load_head_scorer
from songeval_task.scoring.rows import AnySpan, Scores
from songeval_task.scoring.scorer_set import ScorerSet
from songeval_task.uncertainty.calibration import COVERAGE, NOVEL

__all__ = ["FeatureScorer", "load_heads", "reads_model"]

DEFAULT_HEAD = "track2"
DEMO_MODEL, DEMO_HEAD = "mini", "demo"  # the head that the bundled model has when none is named


class FeatureScorer:
    """Scorers that read features from files; :class:`AestheticScorer` adds the encoders.

    Args:
        scorer_set: The scorers.
        device: Device of the heads; None: a GPU if there is one.

    Attributes:
        model_name: Name of the model; None: there is none.
        provenance: Origin of the heads.
        demo: Whether a head is untrained or a demonstration, whose scores say nothing.
    """

    model_name: str | None = None

    def __init__(self, scorer_set: ScorerSet, device: str | torch.device | None = None) -> None:
        self.scorer_set = scorer_set
        self.provenance: dict[str, Any] = {"heads": scorer_set.provenance()}
        self.demo = scorer_set.demo
        self._device = usable_device(device)
        scorer_set.to(self._device)

    @classmethod
    def from_pretrained(
        cls,
        *heads: str | PathLike[str],
        model: str | PathLike[str] = "large",
        device: str | torch.device | None = None,
    ) -> "FeatureScorer":
        """Load heads.

        Args:
            *heads: As :meth:`AestheticScorer.from_pretrained`.
            model: Model of the features; it decides which head is the default, and is not loaded.
            device: Device to compute on; None: a GPU if there is one.
        """
        return cls(ScorerSet(load_heads(heads, fspath(model))), device)

    @property
    def device(self) -> torch.device:
        """Device of the scorers."""
        return self._device

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the scores, in order."""
        return self.scorer_set.columns

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the scores besides the files, as JSON values."""
        return {"head": self.scorer_set.name, "heads": self.scorer_set.fingerprint()}

    def calibrate(self, files: Iterable[Path], coverage: float = COVERAGE) -> None:
        """Give heads their calibrations, so that scores come with intervals.

        Args:
            files: From ``hear-aesthetics calibrate``; heads of runs have their own.
            coverage: Share of ratings that intervals are to hold.

        Raises:
            InputError: If a file is no calibration, or of another head or model.
        """
        self.scorer_set.calibrate(files, coverage)

    @property
    def title(self) -> str:
        """Model, if there is one, and heads in words."""
        return self._title(self.scorer_set.name)

    @property
    def demo_heads(self) -> list[str]:
        """Names of heads whose scores say nothing: all of them where the model is why."""
        return (self.scorer_set.demo_heads or list(self.scorer_set.groups)) if self.demo else []

    @property
    def demo_title(self) -> str:
        """Model, and the heads whose scores say nothing."""
        return self._title("+".join(self.demo_heads))

    def _title(self, heads: str) -> str:
        model = f"model {self.model_name} with " if self.model_name else ""
        return f"{model}head {heads}"

    def check_reads(self) -> None:
        """Raise ``InputError`` unless all heads read the same: a file holds one thing."""
        reads = self.scorer_set.reads
        for name, scorer in self.scorer_set.scorers.items():
            if waveforms := [read for read in reads_of(scorer) if WaveformFormat.names(read)]:
                raise InputError(
                    f"{name} reads {waveforms[0]}, a .npy file holds features; give it the audio"
                )
        if len(reads) > 1:
            raise InputError(
                f"the heads read {', '.join(reads)}, a .npy file holds one of them; "
                "choose heads that read the same"
            )

    def score_features(
        self, clips: Iterable[AnySpan], *, timeline: bool = False, explain: bool = False
    ) -> Iterator[Result[AnySpan]]:
        """Yield results of files of features in order, as :meth:`AestheticScorer.score_files`."""

        def work(_: Any, sequence: Tensor) -> dict[str, Tensor]:
            features = self._features(sequence)
            return self.scorer_set.compute(features, timeline=timeline, explain=explain)

        for result in run(clips, self, work, sample_rate=FRAME_RATE, load=self._load):
            yield self._scored(
                *(result.item, result, timeline, explain),
                model=None,
                demo=self.scorer_set.demo,
                provenance={"heads": self.scorer_set.provenance()},
                loudness_lufs=None,
            )

    def _load(self, clip: AnySpan) -> np.ndarray:
        """Return features ``(frames, dim)`` that all heads can read."""
        path = fspath(clip.path)
        if clip.start is not None or clip.end is not None:
            raise InputError(f"{path}: features are scored whole; leave out start and end")
        features = read_array(Path(path))[0]
        frames, width = features.shape
        for name, head in self.scorer_set.heads.items():
            if width != head.head.feature_dim:
                raise InputError(
                    f"{path}: features {width} wide, head {name} takes {head.reads[0]} "
                    f"{head.head.feature_dim} wide; choose the head of these features"
                )
        if frames < self.scorer_set.min_frames:
            needed = self.scorer_set.min_frames
            raise InputError(f"{path}: {frames} frames, a score needs {needed}; take longer audio")
        if not features.isfinite().all():
            raise InputError(f"{path}: holds what is not a number; make the features again")
        return features.numpy()

    def _features(self, sequence: Tensor) -> Features:
        """Return a batch ``(B, frames, dim)`` as what the heads read."""
        (read,) = self.scorer_set.reads
        if read == FUSED:
            return Features(sequence)
        return Features(
            sequence.new_empty(len(sequence), 0, 0), {HiddenState.parse(read): sequence}
        )

    def _scored(
        self,
        clip: AnySpan,
        result: Result[Any],
        timeline: bool,
        explain: bool,
        warnings: Sequence[str] = (),
        **known: Any,
    ) -> Result[AnySpan]:
        """Return the result of a clip from that of the engine."""
        scores, error = None, result.error
        if error is None:
            outputs, seconds = result.output, result.seconds
            row: dict[str, Any] = {"path": fspath(clip.path), "start": clip.start, "end": clip.end}
            part = (outputs, clip.start or 0.0, seconds)
            try:
                values = self.scorer_set.values(outputs, {**row, "prompt": clip.prompt})
                means = self.scorer_set.mean_values(values)
                novelty = self.scorer_set.novelty(outputs)
                scores = Scores(
                    **row,
                    values=values,
                    means=means,
                    intervals=self.scorer_set.intervals(outputs, {**values, **means}),
                    novelty=novelty,
                    distance=self.scorer_set.distances(outputs),
                    warnings=(*warnings, *_unlike(novelty)),
                    duration=seconds,
                    head=self.scorer_set.name,
                    notes=self.scorer_set.notes,
                    timeline=self.scorer_set.timeline(*part) if timeline else None,
                    explain=self.scorer_set.explanation(*part) if explain else None,
                    **known,
                )
            except HearAestheticsError as failure:
                error = failure
        return Result(clip, result.seconds, scores, error)


def _unlike(novelty: Mapping[str, float]) -> list[str]:
    """Return a warning for each head that knows no song like this one."""
    return [
        f"unlike the calibration songs ({column} {value:.1f})"
        for column, value in novelty.items()
        if value > NOVEL
    ]


def reads_model(sources: Iterable[str | PathLike[str]]) -> bool:
    """Return whether heads by name or path read, or may read, what a model computes."""
    names = [fspath(source) for source in sources]
    return not names or not HEARD_ALONE.issuperset(names)


def load_heads(sources: Iterable[str | PathLike[str]], model: str) -> dict[str, Scorer]:
    """Return name -> scorer; of two heads with one name the one that is given by name has it.

    The other, or the second of two paths, is called by its path.

    Args:
        sources: Names or paths; none: the default head of the model.
        model: Name or directory of the model.
    """
    given = tuple(sources) or (DEMO_HEAD if model == DEMO_MODEL else DEFAULT_HEAD,)
    chosen = dict.fromkeys(fspath(source) for source in given)
    heads: dict[str, Scorer] = {}
    for source in chosen:
        try:
            name, scorer = load_head_scorer(source)
        except WeightsUnavailableError as error:
            wanted = model in CHECKPOINTS and reads_model(chosen)
            if wanted and whereabouts(CHECKPOINTS[model]).origin is None:
                raise WeightsUnavailableError(
                    f"{error}; {model} is missing too: `hear-aesthetics models info {model}`"
                ) from error
            raise
        taken = name in heads or name in chosen
        heads[source if taken else name] = scorer
    return heads
