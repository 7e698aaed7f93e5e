"""Scoring on many machines: songs through a cluster of Ray."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from hear_aesthetics.distributed.cluster import Cluster
from hear_aesthetics.distributed.pipeline import in_order, run_on_ray
from hear_aesthetics.distributed.work import Compute, LoadedItem, check_same
from hear_aesthetics.engine.inference import Result
from hear_aesthetics.spec import MAX_MINUTES
from songeval_task.scoring.judges.muq_eval import WindowChoice
from songeval_task.scoring.rows import AnySpan, AudioSpan
from songeval_task.scoring.scorer import AestheticScorer, Measure, measure_clip
from songeval_task.uncertainty.calibration import COVERAGE

__all__ = ["RayScorer", "ScoreWork", "ScorerRecipe"]


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

    def load(self, item: AudioSpan) -> Any:
        """Return the measured audio of a song."""
        return measure_clip(item, **self.measure)

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
        for result in in_order(run_on_ray(self.cluster, clips, work)):
            if result.error is None:
                result = replace(result, output=replace(result.output, provenance=self.provenance))
            yield result
