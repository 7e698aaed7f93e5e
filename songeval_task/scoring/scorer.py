"""Songs to scores: one encoder pass, any number of heads.

The encoders compute a song once; every head reads what it was trained on from that pass: the fused
feature, or a hidden state of MuQ. :mod:`songeval_task.scoring.panel` names the columns.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from os import PathLike, fspath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics import load_model
from hear_aesthetics.audio.loading import load_audio, resample
from hear_aesthetics.audio.loudness import LoudnessMeter, gain_to
from hear_aesthetics.checkpoints import CHECKPOINTS, whereabouts
from hear_aesthetics.engine.inference import Result, run
from hear_aesthetics.errors import HearAestheticsError, WeightsUnavailableError
from hear_aesthetics.model import HearModel
from hear_aesthetics.scorers import FUSED, Scorer
from hear_aesthetics.spec import SAMPLE_RATE
from songeval_task.scoring import details
from songeval_task.scoring.head_scorers import UNFIT, load_head
from songeval_task.scoring.panel import Panel
from songeval_task.scoring.rows import AnyClip, Clip, Scores

__all__ = ["AestheticScorer", "Clip", "Scores"]

DEFAULT_HEAD = "track2"
DEMO_MODEL, DEMO_HEAD = "mini", "demo"  # the head that the bundled model has when none is named
SECONDS_PER_PASS = 240  # of audio whose features are held at once in `score_waveforms`


class AestheticScorer:
    """An encoder pair and the panel of heads that reads its one pass.

    Args:
        model: From ``load_model``, with the hidden states that the panel reads.
        panel: The heads.

    Raises:
        ValueError: If a head takes features of another width than the model makes.
    """

    def __init__(self, model: HearModel, panel: Panel) -> None:
        panel.attach(model)
        self.model = model
        self.panel = panel
        self.provenance = {**model.provenance(), "heads": panel.provenance()}
        self.demo = panel.demo or self.provenance["status"] in UNFIT

    @classmethod
    def from_pretrained(
        cls,
        *heads: str | PathLike[str],
        model: str | PathLike[str] = "large",
        precision: str = "auto",
        device: str | torch.device | None = None,
    ) -> "AestheticScorer":
        """Load heads and the model that they read from.

        Args:
            *heads: Names (``track1``, ``track2``, ``songeval``, ``songbench``, ``demo``, or an
                installed scorer) or paths; by default ``track2``, with the model ``mini`` ``demo``.
            model: ``"large"``, ``"mini"`` or a model directory.
            precision: See :func:`hear_aesthetics.load_model`.
            device: Where to compute; a GPU if there is one when None.

        Raises:
            ValueError: If a name is unknown or a head does not fit the model.
            WeightsUnavailableError: If weights are neither on this machine nor reachable.
            CheckpointError: If a file does not hold what it should.
        """
        chosen = heads or (DEMO_HEAD if str(model) == DEMO_MODEL else DEFAULT_HEAD,)
        panel = Panel(_load_heads(chosen, fspath(model)))
        options: dict[str, Any] = {"states": panel.states}
        if FUSED not in panel.reads:  # what nobody reads is neither loaded nor computed
            sources = tuple(dict.fromkeys(state.source for state in panel.states))
            layer = max(state.layer for state in panel.states)
            options |= {"sources": sources, "views": ("track",), "layer": layer}
        loaded = load_model(fspath(model), precision=precision, device=device, **options)
        return cls(loaded, panel)

    def to(self, device: str | torch.device) -> "AestheticScorer":
        """Move the model and its heads to a device; return this scorer."""
        self.model.to(device)
        self.panel.attach(self.model)
        return self

    def fingerprint(self) -> dict[str, Any]:
        """What decides the scores, wherever the weights came from, as JSON values."""
        kind = "features" if FUSED in self.panel.reads else "states"
        scorers = {"head": self.panel.name, "heads": self.panel.fingerprint()}
        return {**scorers, "model": self.model.fingerprint(kind)}

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the scores, in order."""
        return self.panel.columns

    def score(
        self,
        path: str | PathLike[str],
        *,
        start: float | None = None,
        end: float | None = None,
        prompt: str | None = None,
        **options: Any,
    ) -> Scores:
        """The scores of a file, or of a span of it in seconds; options as :meth:`score_files`.

        Raises:
            AudioError: If the file cannot be read or is too short.
        """
        (result,) = self.score_files([Clip(path, start, end, prompt)], **options)
        if result.error is not None:
            raise result.error
        scores: Scores = result.output
        return scores

    def score_files(
        self,
        clips: Iterable[AnyClip],
        *,
        timeline: bool = False,
        explain: bool = False,
        loudness: float | None = None,
    ) -> Iterator[Result[AnyClip]]:
        """The results of clips in their order: ``output`` is :class:`Scores`, or ``error`` is set.

        Args:
            clips: Files or spans of them.
            timeline: Also score windows of 30 s, one every 10 s.
            explain: Also score without each window of 10 s.
            loudness: Bring each clip to this loudness in LUFS before scoring, by gain alone.
        """
        compute = partial(self._compute, timeline=timeline, explain=explain)
        jobs = (_Job(clip, loudness, self.panel.min_samples) for clip in clips)
        for result in run(jobs, self.model, compute, load=_Job.load):
            clip, output, error = result.item.clip, None, result.error
            if error is None:
                try:
                    output = self._scores(result, timeline, explain)
                except HearAestheticsError as failure:
                    error = failure
            yield Result(clip, result.seconds, output, error)

    @torch.no_grad()
    def score_waveforms(
        self, waveforms: Tensor, sample_rate: int, *, prompts: Sequence[str] | None = None
    ) -> Tensor:
        """The scores of a batch of waveforms: tensors in, tensors out, no file in between.

        At 24 kHz nothing leaves the device. From other rates the waveforms are resampled on the
        processor, by the filter that files go through, so that both give the same scores.

        Args:
            waveforms: Floats in [-1, 1]; channels are averaged.
            sample_rate: Hz.
            prompts: The text of each item, for scorers that read one.

        Shape:
            - waveforms: ``(B, samples)`` or ``(B, channels, samples)``
            - output: ``(B, columns)``, float32, on the device of the waveforms

        Raises:
            ValueError: If shape, type or length do not fit.
        """
        mono = _mono(waveforms, sample_rate)
        if mono.shape[1] < self.panel.min_samples:
            raise ValueError(
                f"waveforms hold {mono.shape[1] / SAMPLE_RATE:.3f} s of audio, a score needs at "
                f"least {self.panel.min_samples / SAMPLE_RATE:.3f} s"
            )
        if prompts is not None and len(prompts) != len(mono):
            raise ValueError(f"{len(prompts)} prompts for {len(mono)} waveforms; give one for each")
        texts: Sequence[str | None] = [None] * len(mono) if prompts is None else prompts
        rows = [{"path": None, "start": None, "end": None, "prompt": text} for text in texts]
        size = max(1, SECONDS_PER_PASS * SAMPLE_RATE // mono.shape[1])
        tables = []
        for first in range(0, len(mono), size):
            outputs = self._compute(self.model, mono[first : first + size])
            tables.append(self.panel.table(outputs, rows[first : first + size]))
        return torch.cat(tables).to(waveforms.device)

    def _compute(
        self, model: HearModel, waveform: Tensor, *, timeline: bool = False, explain: bool = False
    ) -> dict[str, Tensor]:
        """One encoder pass and all heads, for a batch at 24 kHz."""
        features = model.extract(waveform, self.panel.states)
        return self.panel.compute(features, timeline=timeline, explain=explain)

    def _scores(self, result: Result["_Job"], timeline: bool, explain: bool) -> Scores:
        job, outputs, seconds = result.item, result.output, result.seconds
        clip = job.clip
        row: dict[str, Any] = {"path": fspath(clip.path), "start": clip.start, "end": clip.end}
        values = self.panel.values(outputs, {**row, "prompt": clip.prompt})
        part = (self.panel, outputs, clip.start or 0.0, seconds)
        return Scores(
            **row,
            values=values,
            means=self.panel.mean_values(values),
            duration=seconds,
            loudness_lufs=job.measured,
            model=self.model.name,
            head=self.panel.name,
            demo=self.demo,
            timeline=details.timeline(*part) if timeline else None,
            explain=details.explanation(*part) if explain else None,
            provenance=self.provenance,
        )


class _Job:
    """A clip on its way through the engine, with the loudness that is measured as it is loaded."""

    def __init__(self, clip: AnyClip, target: float | None, min_samples: int) -> None:
        self.clip, self.path = clip, clip.path
        self.target = target
        self.min_samples = min_samples
        self.measured: float | None = None

    def load(self) -> np.ndarray:
        """The waveform, at the loudness that was asked for."""
        clip = self.clip
        meter = LoudnessMeter()
        waveform = load_audio(
            clip.path,
            start=clip.start,
            end=clip.end,
            min_samples=self.min_samples,
            on_block=meter.push,
        )
        self.measured = meter.loudness()
        return waveform if self.target is None else waveform * gain_to(self.target, self.measured)


def _load_heads(sources: Iterable[str | PathLike[str]], model: str) -> dict[str, Scorer]:
    """Name -> scorer; of two different heads with one name the second is called by its path.

    Raises:
        WeightsUnavailableError: Says so too if the model is not on this machine either.
    """
    heads: dict[str, Scorer] = {}
    for source in dict.fromkeys(fspath(source) for source in sources):
        try:
            name, scorer = load_head(source)
        except WeightsUnavailableError as error:
            if model in CHECKPOINTS and whereabouts(CHECKPOINTS[model]).origin is None:
                raise WeightsUnavailableError(
                    f"{error}; {model} is missing too: `hear-aesthetics models info {model}`"
                ) from error
            raise
        heads[source if name in heads else name] = scorer
    return heads


def _mono(waveforms: Tensor, sample_rate: int) -> Tensor:
    """``(B, samples)`` at the encoders' rate; the same route as a file's."""
    if waveforms.dim() not in (2, 3) or not waveforms.is_floating_point():
        raise ValueError(
            f"waveforms have shape {tuple(waveforms.shape)} and dtype {waveforms.dtype}; pass "
            "floats in [-1, 1] of shape (B, samples) or (B, channels, samples)"
        )
    mono = waveforms.float().mean(dim=1) if waveforms.dim() == 3 else waveforms.float()
    if sample_rate == SAMPLE_RATE:
        return mono
    return torch.from_numpy(resample(mono.cpu().numpy(), sample_rate, SAMPLE_RATE))
