"""Scores on many machines: of songs through a cluster, and of batches of any pipeline."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.audio.measured import MeasuredAudio
from hear_aesthetics.corpus.stored import as_path
from hear_aesthetics.distributed.batches import BatchAudio, audio_of, other_columns, outcome
from hear_aesthetics.distributed.cluster import Cluster
from hear_aesthetics.distributed.loading import load_measured
from hear_aesthetics.distributed.pipeline import in_order, run_on_ray
from hear_aesthetics.distributed.work import Compute, LoadedItem, check_same
from hear_aesthetics.engine.inference import Result
from hear_aesthetics.engine.inputs import Input
from hear_aesthetics.spec import MAX_MINUTES
from songeval_task.scoring.judges.muq_eval import WindowChoice
from songeval_task.scoring.rows import AnySpan, AudioSpan, row_columns, score_row
from songeval_task.scoring.scorer import AestheticScorer, Measure, measure_clip
from songeval_task.uncertainty.calibration import COVERAGE

__all__ = ["RayScorer", "ScoreWork", "Scorer", "ScorerRecipe"]


@dataclass(frozen=True)
class ScorerRecipe:
    """Names and paths that a scorer is loaded from, wherever that happens.

    Attributes:
        heads: See :meth:`AestheticScorer.from_pretrained`, as the others.
        model: Name or directory of the model.
        precision: Number format of matrix products.
        window: Which windows MuQ-Eval scores.
        calibration: Calibration files.
        coverage: Share of ratings that intervals are to hold.
    """

    heads: tuple[str, ...] = ()
    model: str = "large"
    precision: str = "auto"
    window: WindowChoice | None = None
    calibration: tuple[Path, ...] = ()
    coverage: float = COVERAGE

    def load(self, device: str | None) -> AestheticScorer:
        """Load the scorer on a device; None: a GPU if there is one."""
        scorer = AestheticScorer.from_pretrained(
            *self.heads,
            model=self.model,
            precision=self.precision,
            device=device,
            window=self.window,
        )
        scorer.calibrate(self.calibration, self.coverage)
        return scorer

    def load_checked(self, device: str, fingerprint: Mapping[str, Any]) -> AestheticScorer:
        """Load the scorer on a node.

        Raises:
            InputError: If it has another fingerprint than where the run was started.
        """
        scorer = self.load(device)
        check_same(fingerprint, scorer.fingerprint())
        return scorer


@dataclass(frozen=True)
class ScoreWork:
    """Scores of songs; a :class:`hear_aesthetics.distributed.work.Work`."""

    recipe: ScorerRecipe
    fingerprint: dict[str, Any]  # that the scorer must have everywhere
    measure: dict[str, Any]  # options of `measure_audio`
    windows: dict[str, bool]

    @property
    def load(self) -> partial[MeasuredAudio]:
        """What loads the measured audio of a song."""
        return partial(load_measured, **self.measure)

    def open(self, device: str) -> Compute:
        """Load the scorer."""
        return partial(self._compute, self.recipe.load_checked(device, self.fingerprint))

    def _compute(
        self, scorer: AestheticScorer, items: Sequence[LoadedItem]
    ) -> Iterator[Result[AnySpan]]:
        clips = [_LoadedClip.of(item) for item in items]
        for result in scorer.score_files(clips, measure=_LoadedClip.take, **self.windows):
            if result.error is None:  # what all songs share travels once, in the scorer
                result = replace(result, output=replace(result.output, provenance={}))
            yield result


@dataclass(frozen=True)
class _LoadedClip(AudioSpan):
    """A song that was measured already."""

    loaded: LoadedItem = field(kw_only=True)

    @classmethod
    def of(cls, loaded: LoadedItem) -> "_LoadedClip":
        clip = loaded.item
        return cls(clip.path, clip.start, clip.end, clip.prompt, loaded=loaded)

    def take(self, **_: Any) -> Any:
        """Return the audio, which was measured with these options."""
        return self.loaded.take()


class RayScorer(AestheticScorer):
    """Aesthetic scorer whose songs are scored by the nodes of a cluster.

    It is loaded here too, on the processor's side, for its columns and fingerprint.
    """

    cluster: Cluster
    recipe: ScorerRecipe

    @classmethod
    def on(cls, cluster: Cluster, recipe: ScorerRecipe) -> "RayScorer":
        """Load a scorer for a cluster."""
        scorer = cls.from_pretrained(
            *recipe.heads,
            model=recipe.model,
            precision=recipe.precision,
            device=cluster.device_here,
            window=recipe.window,
        )
        scorer.to("cpu")  # GPUs are for the nodes
        assert isinstance(scorer, cls)
        scorer.cluster, scorer.recipe = cluster, recipe
        return scorer

    def calibrate(self, files: Iterable[Path], coverage: float = COVERAGE) -> None:
        """Give heads their calibrations, here and on the nodes."""
        files = tuple(files)
        super().calibrate(files, coverage)
        self.recipe = replace(self.recipe, calibration=files, coverage=coverage)

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
        """Yield results of clips in order; see :meth:`AestheticScorer.score_files`.

        What could not be scored because the cluster failed is an error of the clip.
        """
        clips = list(clips)
        work = ScoreWork(
            self.recipe,
            self.fingerprint(),
            {**self.measure_options, "target": loudness, "max_minutes": max_minutes},
            {"timeline": timeline, "explain": explain},
        )
        sent = [Input(as_path(c.path), "", c.start, c.end, c.prompt) for c in clips]
        for clip, result in zip(clips, in_order(run_on_ray(self.cluster, sent, work)), strict=True):
            output = result.output
            if result.error is None:
                output = replace(output, provenance=self.provenance)
            yield Result(clip, result.seconds, output, result.error)


class Scorer:
    """Callable class that scores batches, for ``map_batches`` of Ray Data and the like.

    ``dataset.map_batches(Scorer, fn_constructor_kwargs={"heads": ["track2"]}, ...)``

    Columns in are those of :mod:`hear_aesthetics.distributed.batches`. Columns out are all others
    as they are, one of each score, float64, NaN where there is none, and ``loudness_lufs``,
    ``duration`` (s), ``warnings``, ``status`` and ``error``: a row that cannot be scored says why.

    Args:
        heads: Names or paths; none: the default of the model.
        model: Name or directory of the model.
        precision: Number format of matrix products.
        device: Device; None: a GPU if there is one.
        calibration: Calibration files: scores then have intervals.
        coverage: Share of ratings that intervals are to hold.
        loudness: Bring each clip to this loudness in LUFS before scoring.
        max_minutes: Longest audio; a longer row is an error.

    Raises:
        ValueError: If a name is unknown or a head does not fit the model.
    """

    def __init__(
        self,
        heads: Sequence[str] = (),
        model: str = "large",
        *,
        precision: str = "auto",
        device: str | None = None,
        calibration: Sequence[str] = (),
        coverage: float = COVERAGE,
        loudness: float | None = None,
        max_minutes: float = MAX_MINUTES,
    ) -> None:
        files = tuple(map(Path, calibration))
        recipe = ScorerRecipe(tuple(heads), model, precision, None, files, coverage)
        self.scorer = recipe.load(device)
        self._columns = row_columns(self.scorer.scorer_set)
        self._loudness, self._max_minutes = loudness, max_minutes

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns of a batch with its scores.

        Raises:
            InputError: If no column holds audio.
        """
        clips = [_BatchClip(a.path, a.start, a.end, a.prompt, audio=a) for a in audio_of(batch)]
        results = list(
            self.scorer.score_files(
                clips,
                loudness=self._loudness,
                max_minutes=self._max_minutes,
                measure=_BatchClip.measure,
            )
        )
        rows = [
            {} if result.error else score_row(result.output, self._columns, rounded=False)
            for result in results
        ]
        scores = (*self.scorer.scorer_set.all_columns, *self.scorer.scorer_set.interval_columns)
        numbers = {
            name: np.array([row.get(name) for row in rows], dtype=np.float64)
            for name in (*scores, "loudness_lufs")
        }
        warnings = np.array([row.get("warnings") for row in rows], dtype=object)
        return {**other_columns(batch), **numbers, "warnings": warnings, **outcome(results)}


@dataclass(frozen=True)
class _BatchClip(AudioSpan):
    """Audio of a row of a batch."""

    audio: BatchAudio = field(kw_only=True)

    def measure(self, **options: Any) -> MeasuredAudio:
        """Return the measured audio of the row, if it holds any."""
        self.audio.checked()
        return measure_clip(self, **options)
