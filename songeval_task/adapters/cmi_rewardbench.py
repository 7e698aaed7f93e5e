"""CMI-RewardBench model: musicality from a head, text alignment from a MusicEval run.

The benchmark (arXiv 2603.00610) builds the class of ``inference_benchmark.py --model_class_path``
with ``checkpoint``, ``device`` and the keys of ``--model_init_kwargs_json``.
"""

import logging
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from hear_aesthetics.errors import InputError
from hear_aesthetics.spec import SAMPLE_RATE
from songeval_task.scoring.scorer import AestheticScorer, AudioSpan

__all__ = ["HearAestheticsRewardModel"]

ALIGNMENT = "TextAlignment"  # column of a MusicEval run
MEAN = "mean"
NO_TEXT = "-"  # for the run to read where an item has no text; what it says is left out

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
            ValueError: If a waveform does not fit, or an option is given.
        """
        if options:
            raise InputError(f"score_batch knows no {', '.join(options)}; leave such options out")
        spans = [
            AudioSpan(item.audio, end=max_dur, prompt=item.text or NO_TEXT)
            for item in inputs
            if not isinstance(item.audio, Tensor)
        ]
        results = self.scorer.score_files(spans)
        scores = np.full((len(inputs), 2), np.nan, np.float32)
        for row, item in zip(scores, inputs, strict=True):
            if isinstance(item.audio, Tensor):
                values = self._score_waveform(item.audio, item.text or NO_TEXT, max_dur)
            else:
                result = next(results)
                if result.error is not None:
                    raise result.error
                values = result.output.values
            if self.alignment is not None and item.text:
                row[0] = values[self.alignment]
            row[1] = {**values, **self.scorer.scorer_set.mean_values(values)}[self.dimension]
        return scores

    def _score_waveform(
        self, waveform: Tensor, text: str, max_dur: float | None
    ) -> Mapping[str, float]:
        """Return column -> score of a waveform at ``sr``."""
        if max_dur is not None:
            waveform = waveform[..., : int(max_dur * self.sr)]
        scores = self.scorer.score_waveforms(waveform[None], self.sr, prompts=[text])
        return dict(zip(self.scorer.columns, scores[0].tolist(), strict=True))
