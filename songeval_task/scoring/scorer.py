"""Aesthetic scorer: songs to scores, with one decoding and one encoder pass for all scorers.

A file is decoded once and resampled to each format that is read. The encoders compute it once;
every head reads what it was trained on from that pass: the fused feature, or a hidden state of MuQ.
Scorers that hear the waveform itself need no encoder, and then none is loaded.
:mod:`songeval_task.scoring.scorer_set` names the columns.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics import load_model
from hear_aesthetics.audio.decoding import RATES
from hear_aesthetics.audio.faults import FAULT_LIMITS, find_faults
from hear_aesthetics.audio.loading import LENGTH_RULE, to_format
from hear_aesthetics.audio.measured import MeasuredAudio, measure_audio
from hear_aesthetics.audio.waveforms import ENCODER_FORMAT, WaveformFormat, Waveforms
from hear_aesthetics.checkpoints import CHECKPOINTS, locate_model
from hear_aesthetics.engine.inference import Result, run
from hear_aesthetics.errors import InputError
from hear_aesthetics.features.fusion import SOURCES, Features
from hear_aesthetics.model import HearModel
from hear_aesthetics.scorers import FUSED
from hear_aesthetics.spec import MAX_MINUTES, SAMPLE_RATE
from songeval_task.scoring.feature_scorer import FeatureScorer, load_heads, reads_model
from songeval_task.scoring.head_scorers import UNFIT
from songeval_task.scoring.judges.muq_eval import WindowChoice
from songeval_task.scoring.rows import AnySpan, AudioSpan, Scores
from songeval_task.scoring.scorer_set import ScorerSet
from songeval_task.uncertainty.calibration import COVERAGE

__all__ = [
    *("AestheticScorer", "AudioSpan", "FileScorer", "Scores"),
    *("check_waveforms", "waveform_warnings"),
]

Measure = Callable[..., MeasuredAudio]
SECONDS_PER_PASS = 240  # of audio whose features are held at once in `score_waveforms`


def measure_clip(clip: AnySpan, **options: Any) -> MeasuredAudio:
    """Load a clip from its file; see :func:`measure_audio`."""
    return measure_audio(clip.path, start=clip.start, end=clip.end, **options)


class FileScorer:
    """What scores files, and so one of them.

    Attributes:
        score_files: Clips and options -> results in order.
    """

    score_files: Callable[..., Iterator[Result[Any]]]

    def score(
        self,
        path: str | PathLike[str],
        *,
        start: float | None = None,
        end: float | None = None,
        prompt: str | None = None,
        **options: Any,
    ) -> Scores:
        """Return the scores of a file, or of a span in seconds; options as :meth:`score_files`.

        Raises:
            AudioError: If the file cannot be read or is too short.
        """
        (result,) = self.score_files([AudioSpan(path, start, end, prompt)], **options)
        if result.error is not None:
            raise result.error
        scores: Scores = result.output
        return scores


class AestheticScorer(FileScorer, FeatureScorer):
    """Scorers, and the encoder pair whose one pass they read.

    Args:
        model: From ``load_model``, with the hidden states that the scorers read and encode; None
            where they hear waveforms alone.
        scorer_set: The scorers.
        device: Device without a model; None: a GPU if there is one.

    Raises:
        ValueError: If a head takes features of another width than the model makes, or there is no
            model for what is read.
    """

    def __init__(
        self,
        model: HearModel | None,
        scorer_set: ScorerSet,
        device: str | torch.device | None = None,
    ) -> None:
        if model is None and scorer_set.needs_model:
            raise InputError(f"{scorer_set.name} reads features of encoders; pass a model")
        super().__init__(scorer_set, device if model is None else model.device)
        self.model = model
        if model is not None:
            scorer_set.attach(model)
            self.model_name = model.name
            self.provenance = {**model.provenance(), **self.provenance}
            self.demo = scorer_set.demo or self.provenance["status"] in UNFIT

    @classmethod
    def from_pretrained(
        cls,
        *heads: str | PathLike[str],
        model: str | PathLike[str] = "large",
        precision: str = "auto",
        device: str | torch.device | None = None,
        window: WindowChoice | None = None,
    ) -> "AestheticScorer":
        """Load heads and the model that they read from; none where all hear waveforms alone.

        Args:
            *heads: Names (``track1``, ``track2``, ``songeval``, ``songbench``, ``audiobox``,
                ``demo``, or an installed scorer) or paths; by default ``track2``, with the model
                ``mini`` ``demo``.
            model: ``"large"``, ``"mini"`` or a model directory.
            precision: See :func:`hear_aesthetics.load_model`.
            device: Device to compute on; None: a GPU if there is one.
            window: Which windows of 10 s MuQ-Eval scores, ``"centre"``, ``"first"`` or ``"all"``;
                None: as published, the one in the centre.

        Raises:
            ValueError: If a name is unknown or a head does not fit the model.
            WeightsUnavailableError: If weights are neither on this machine nor reachable.
            CheckpointError: If a file does not hold what it should.
        """
        if reads_model(heads) and fspath(model) not in CHECKPOINTS:
            locate_model(fspath(model), sources=())  # says so before heads are fetched
        scorer_set = ScorerSet(load_heads(heads, fspath(model)))
        if window is not None:
            scorer_set.take_window(window)
        if not scorer_set.needs_model:
            scorer_set.settle(None, precision)
            return cls(None, scorer_set, device)
        options: dict[str, Any] = {}
        needed = scorer_set.states or scorer_set.encodes
        if FUSED not in scorer_set.reads:  # what nobody reads is neither loaded nor computed
            sources = {state.source for state in (*scorer_set.states, *scorer_set.encodes)}
            options["sources"] = tuple(source for source in SOURCES if source in sources)
            options |= {"views": ("track",), "layer": max(state.layer for state in needed)}
        files = locate_model(fspath(model), sources=options.get("sources", SOURCES))
        encodes = scorer_set.settle(files, precision)
        options["states"] = tuple(dict.fromkeys((*scorer_set.states, *encodes)))
        loaded = load_model(fspath(model), precision=precision, device=device, **options)
        return cls(loaded, scorer_set)

    @property
    def required_model(self) -> HearModel:
        """The model.

        Raises:
            InputError: If there is none.
        """
        if self.model is None:
            raise InputError(f"{self.title} hears waveforms alone; name a head that reads features")
        return self.model

    @property
    def device(self) -> torch.device:
        """Device of model and scorers."""
        return self._device if self.model is None else self.model.device

    def to(self, device: str | torch.device) -> "AestheticScorer":
        """Move the model and its heads to a device; return this scorer."""
        self._device = torch.device(device)
        if self.model is not None:
            self.model.to(device)
        self.scorer_set.to(self._device)
        return self

    def calibrate(self, files: Iterable[Path], coverage: float = COVERAGE) -> None:
        """Give heads their calibrations; see :meth:`FeatureScorer.calibrate`."""
        super().calibrate(files, coverage)
        if self.model is not None:
            self.scorer_set.attach(self.model)  # checks that they are of this model

    def fingerprint(self) -> dict[str, Any]:
        """Return what decides the scores, wherever the weights came from, as JSON values."""
        decides: dict[str, Any] = {}
        if ENCODER_FORMAT in self.scorer_set.formats:
            decides |= LENGTH_RULE
        if heard := [read for read in self.scorer_set.reads if WaveformFormat.names(read)]:
            decides["waveforms"] = heard
        if self.model is not None:
            kind = "features" if FUSED in self.scorer_set.reads else "states"
            decides["model"] = self.model.fingerprint(kind)
        return {**super().fingerprint(), **decides, "faults": FAULT_LIMITS}

    @property
    def batches_at_once(self) -> int:
        """Batches that the engine computes side by side: the model's, if nothing else is heavy."""
        heard = any(map(WaveformFormat.names, self.scorer_set.reads))
        if self.model is None or heard or self.scorer_set.encodes:
            return 1
        return self.model.batches_at_once

    @property
    def measure_options(self) -> dict[str, Any]:
        """Options of ``measure_audio`` that the scorers need, as JSON values."""
        return {
            "formats": [str(wanted) for wanted in self.scorer_set.formats],
            "min_seconds": self.scorer_set.min_samples / SAMPLE_RATE,
        }

    def score_files(
        self,
        clips: Iterable[AnySpan],
        *,
        timeline: bool = False,
        explain: bool = False,
        loudness: float | None = None,
        max_minutes: float = MAX_MINUTES,
        measure: Measure = measure_clip,
    ) -> Iterator[Result[AnySpan]]:
        """Yield results of clips in order: ``output`` is :class:`Scores`, or ``error`` is set.

        Args:
            clips: Files or spans of them.
            timeline: Also score windows of 30 s, one every 10 s.
            explain: Also score without each window of 10 s.
            loudness: Bring each clip to this loudness in LUFS before scoring, by gain alone.
            max_minutes: Longest clip; a longer one is an error.
            measure: Clip and options of ``measure_audio`` -> its audio, where it does not come from
                the file of its path. Called on threads.
        """
        compute = partial(self._compute, timeline=timeline, explain=explain)
        options = {**self.measure_options, "target": loudness, "max_minutes": max_minutes}
        measured = (_MeasuredSpan(clip, partial(measure, **options)) for clip in clips)
        rate = self.scorer_set.formats[0].rate
        results = run(
            measured,
            self,
            compute,
            sample_rate=rate,
            load=_MeasuredSpan.load,
            batches_at_once=self.batches_at_once,
        )
        for result in results:
            span = result.item
            yield self._scored(
                *(span.clip, result, timeline, explain, span.faults),
                model=self.model_name,
                demo=self.demo,
                provenance=self.provenance,
                loudness_lufs=span.loudness_lufs,
            )

    @torch.no_grad()
    def score_waveforms(
        self, waveforms: Tensor, sample_rate: int, *, prompts: Sequence[str] | None = None
    ) -> Tensor:
        """Return the scores of a batch of waveforms: tensors in, tensors out, no file in between.

        At the rate that the scorers hear nothing leaves the device. From other rates the waveforms
        are resampled on the processor, by the filter that files go through, so that both give the
        same scores.

        Args:
            waveforms: Floats in [-1, 1]; channels are averaged.
            sample_rate: Hz.
            prompts: Text of each item, for scorers that read one.

        Shape:
            - waveforms: ``(B, samples)`` or ``(B, channels, samples)``
            - output: ``(B, columns)``, float32, on the device of the waveforms

        Raises:
            TypeError: If the waveforms are no tensor.
            ValueError: If shape, type, rate or length do not fit, or a sample is not finite.
        """
        check_waveforms(waveforms, sample_rate)
        mono = waveforms.float().mean(dim=1) if waveforms.dim() == 3 else waveforms.float()
        seconds, needed = mono.shape[1] / sample_rate, self.scorer_set.min_samples / SAMPLE_RATE
        if seconds < needed:
            raise ValueError(
                f"waveforms hold {seconds:.3f} s of audio, a score needs at least {needed:.3f} s"
            )
        if prompts is not None and len(prompts) != len(mono):
            raise ValueError(f"{len(prompts)} prompts for {len(mono)} waveforms; give one for each")
        texts: Sequence[str | None] = [None] * len(mono) if prompts is None else prompts
        rows = [{"path": None, "start": None, "end": None, "prompt": text} for text in texts]
        size = max(1, int(SECONDS_PER_PASS / seconds))
        tables = []
        for first in range(0, len(mono), size):
            part = mono[first : first + size]
            heard = {str(f): self._in_format(part, sample_rate, f) for f in self.scorer_set.formats}
            outputs = self._compute(self, heard)
            tables.append(self.scorer_set.table(outputs, rows[first : first + size]))
        return torch.cat(tables).to(waveforms.device)

    def waveform_warnings(self, waveforms: Tensor, sample_rate: int) -> list[tuple[str, ...]]:
        """Return the faults of each waveform of a batch that :meth:`score_waveforms` takes.

        Measured on the processor, as :attr:`Scores.warnings` are of a file.

        Raises:
            TypeError: If the waveforms are no tensor.
            ValueError: If shape, type or rate do not fit, or a sample is not finite.
        """
        return waveform_warnings(waveforms, sample_rate)

    def _compute(self, _: Any, waveforms: Mapping[str, Tensor], **asked: bool) -> dict[str, Tensor]:
        """Compute one encoder pass, if one is read, and all scorers for a batch."""
        return self.scorer_set.compute(self.features(waveforms), **asked)

    def features(self, waveforms: Mapping[str, Tensor]) -> Features:
        """Return what the scorers read of a batch.

        Args:
            waveforms: ``(B, samples)`` by the name of each of the set's ``formats``.
        """
        if self.model is None or not self.scorer_set.reads_features:
            first = next(iter(waveforms.values()))
            return Features(first.new_empty(len(first), 0, 0), {}, waveforms)
        features = self.model.extract(waveforms[str(ENCODER_FORMAT)], self.scorer_set.states)
        return replace(features, waveforms=waveforms)

    def _in_format(self, mono: Tensor, sample_rate: int, wanted: WaveformFormat) -> Tensor:
        """Return a batch by the same route as a file, on the device of the scorers."""
        if sample_rate != wanted.rate:
            mono = torch.from_numpy(to_format(mono.cpu().numpy(), sample_rate, wanted))
        return mono.to(self.device)


@dataclass
class _MeasuredSpan:
    """A clip on its way through the engine; it is measured as it is loaded."""

    clip: AnySpan
    measure: Measure
    loudness_lufs: float | None = None
    faults: tuple[str, ...] = ()

    @property
    def path(self) -> str | PathLike[str]:
        """File, for messages."""
        return self.clip.path

    def load(self) -> Waveforms:
        """Return the waveforms."""
        measured = self.measure(self.clip)
        self.loudness_lufs, self.faults = measured.loudness_lufs, measured.faults
        return measured.waveforms


def waveform_warnings(waveforms: Tensor, sample_rate: int) -> list[tuple[str, ...]]:
    """Return the faults of each waveform of a batch; see the method of the scorer."""
    check_waveforms(waveforms, sample_rate)
    batch = waveforms.detach().float().cpu().numpy()
    return [find_faults(np.atleast_2d(waveform).T, sample_rate) for waveform in batch]


def check_waveforms(waveforms: Any, sample_rate: int) -> None:
    """Raise an error unless these are waveforms at a rate that audio has."""
    if not isinstance(waveforms, Tensor):
        kind = type(waveforms).__name__
        raise TypeError(f"waveforms are a {kind}; pass a torch tensor of shape (B, samples)")
    if (
        waveforms.dim() not in (2, 3)
        or not waveforms.is_floating_point()
        or not waveforms.numel()
        or not waveforms.isfinite().all()
    ):
        raise ValueError(
            f"waveforms have shape {tuple(waveforms.shape)} and dtype {waveforms.dtype}; pass "
            "finite floats in [-1, 1] of shape (B, samples) or (B, channels, samples)"
        )
    if sample_rate not in RATES:
        raise ValueError(f"sample_rate is {sample_rate}; it takes {RATES[0]} to {RATES[-1]} Hz")
