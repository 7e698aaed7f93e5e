"""CMI-RewardBench model: musicality from a head, text alignment from a MusicEval run.

The benchmark (arXiv 2603.00610) builds the class of ``inference_benchmark.py --model_class_path``
with ``checkpoint``, ``device`` and the keys of ``--model_init_kwargs_json``.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from hear_aesthetics.audio.loading import load_audio, mix
from hear_aesthetics.engine import run
from hear_aesthetics.errors import AudioError, InputError
from hear_aesthetics.model import HearModel
from hear_aesthetics.spec import SAMPLE_RATE
from songeval_task.scoring.scorer import AestheticScorer

__all__ = ["HearAestheticsRewardModel"]

ALIGNMENT = "TextAlignment"  # column of a MusicEval run
MEAN = "mean"
NO_TEXT = "-"  # for the run to read where an item has no text; what it says is left out
RESAMPLER_SECONDS = 1.0  # of a file, read beyond a cut: more than its resampler reaches

logger = logging.getLogger(__name__)


class BatchInput(Protocol):
    """Item as the benchmark gives it; lyrics and reference audio, which it also has, are not read.

    Attributes:
        audio: File, or waveform ``(samples,)`` or ``(channels, samples)`` at ``sr``.
        text: Prompt; may be empty.
    """

    audio: str | PathLike[str] | Tensor
    text: str


class HearAestheticsRewardModel:
    """Heads and encoders behind the benchmark's interface.

    Args:
        checkpoint: Head that scores musicality: a name such as ``"track2"``, or a path.
        device: Device to compute on; None: a GPU if there is one.
        alignment: Run folder of ``musiceval train``, or an installed scorer with a column
            ``TextAlignment``; None leaves that column NaN.
        model: ``"large"``, ``"mini"`` or a model directory.
        dimension: Column of the head that is musicality, such as ``"Musicality"``, or ``"mean"``.

    Raises:
        InputError: If ``alignment`` is not given or has no such column, the head has no such
            dimension, or a name is unknown.
        WeightsUnavailableError: If weights are neither on this machine nor reachable.
        CheckpointError: If a file does not hold what it should.
    """

    def __init__(
        self,
        checkpoint: str,
        device: str | None = None,
        *,
        alignment: str | None = "",
        model: str = "large",
        dimension: str = MEAN,
    ) -> None:
        if alignment == "":
            raise InputError(
                'alignment is missing: --model_init_kwargs_json \'{"alignment": "RUN"}\', '
                "or null for a column of NaN"
            )
        heads = [checkpoint] if alignment is None else [checkpoint, alignment]
        self.scorer = AestheticScorer.from_pretrained(*heads, model=model, device=device)
        if self.scorer.demo:
            logger.warning("demonstration or untrained weights: the scores mean nothing")
        groups = list(self.scorer.scorer_set.groups.values())
        if dimension not in (MEAN, *groups[0]):
            known = ", ".join((MEAN, *groups[0]))
            raise InputError(f"{checkpoint}: no dimension {dimension!r}; it has {known}")
        self.dimension = dimension
        self.alignment: str | None = None
        if alignment is not None:
            named = {column.rpartition(":")[2]: column for column in groups[-1]}
            if ALIGNMENT not in named:
                raise InputError(
                    f"{alignment}: scores {', '.join(named)}, not {ALIGNMENT}; name a run folder "
                    "of `hear-aesthetics musiceval train`"
                )
            self.alignment = named[ALIGNMENT]

    @property
    def sr(self) -> int:
        """Rate of waveforms, Hz."""
        return SAMPLE_RATE

    def score_batch(
        self,
        inputs: Sequence[BatchInput],
        batch_size: int = 4,
        max_dur: float | None = 30.0,
        **options: Any,
    ) -> np.ndarray:
        """Return the scores of items, of the first ``max_dur`` seconds of each.

        Args:
            inputs: Items.
            batch_size: Not used: clips of equal length share a batch, and no score depends on it.
            max_dur: Seconds; None: all of it. Alignment reads 30 s at most.
            options: None are known.

        Returns:
            ``(N, 2)`` float32, higher is better: alignment, NaN for items without text; musicality.

        Raises:
            AudioError: If a file cannot be read or is too short.
            InputError: If an option is given.
        """
        if options:
            raise InputError(f"score_batch knows no {', '.join(options)}; leave such options out")
        model, scorer_set = self.scorer.model, self.scorer.scorer_set

        def compute(_: HearModel, waveform: Tensor) -> dict[str, Tensor]:
            return scorer_set.compute(model.extract(waveform, scorer_set.states))

        clips = [_Clip(item, max_dur, scorer_set.min_samples) for item in inputs]
        scores = np.full((len(clips), 2), np.nan, np.float32)
        results = run(clips, model, compute, load=_Clip.load)
        for row, result, clip in zip(scores, results, clips, strict=True):
            if result.error is not None:
                raise result.error
            prompt = clip.item.text or NO_TEXT
            values = scorer_set.values(result.output, {"path": clip.path, "prompt": prompt})
            if self.alignment is not None and clip.item.text:
                row[0] = values[self.alignment]
            row[1] = {**values, **scorer_set.mean_values(values)}[self.dimension]
        return scores


@dataclass
class _Clip:
    """An item on its way through the engine."""

    item: BatchInput
    max_dur: float | None
    min_samples: int

    @property
    def path(self) -> str | PathLike[str]:
        """File, for messages."""
        return "waveform" if isinstance(self.item.audio, Tensor) else self.item.audio

    def load(self) -> np.ndarray:
        """Return the waveform, cut where the benchmark's own model cuts: after resampling."""
        if isinstance(self.item.audio, Tensor):
            waveform = mix(np.atleast_2d(self.item.audio.float().cpu().numpy()).T)
        else:
            end = None if self.max_dur is None else self.max_dur + RESAMPLER_SECONDS
            waveform = load_audio(self.item.audio, end=end)
        if self.max_dur is not None:
            waveform = waveform[: int(self.max_dur * SAMPLE_RATE)]
        if len(waveform) < self.min_samples:
            raise AudioError(
                f"{self.path}: {len(waveform) / SAMPLE_RATE:.3f} s of audio, a score needs "
                f"{self.min_samples / SAMPLE_RATE:.3f} s; take longer audio"
            )
        return waveform
