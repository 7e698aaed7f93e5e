"""Training loop of the mixed objective."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from hear_aesthetics.backbones import MelStatistics
from hear_aesthetics.compute.processes import Processes
from hear_aesthetics.errors import InputError
from hear_aesthetics.pretraining.config import PretrainingConfig
from hear_aesthetics.pretraining.data.augmentation import generator
from hear_aesthetics.pretraining.initialization import InitialEncoder
from hear_aesthetics.pretraining.loop import TARGET_BATCHES, Pretraining, Progress
from hear_aesthetics.pretraining.supervised.batches import LabelledBatch, draw_labelled
from hear_aesthetics.pretraining.supervised.heads import LabelHead, TeacherHead
from hear_aesthetics.pretraining.supervised.objective import (
    MixedMetrics,
    MixedObjective,
    MixedPrediction,
    draw_masked,
)
from hear_aesthetics.pretraining.supervised.pool import LabelledPool
from hear_aesthetics.pretraining.teachers.cache import TeacherEmbeddings

__all__ = ["MixedPretraining"]


class MixedPretraining(Pretraining):
    """Run of a mixture of objectives; arguments as of :class:`Pretraining`, of a pool with labels.

    Teachers' embeddings are read from beside the pool; the main process makes those that are not
    there.

    Raises:
        InputError: If a teacher's packages are missing, or the pool lacks what a label needs.
    """

    model: MixedObjective
    of_start = "loss"

    def __init__(
        self,
        config: PretrainingConfig,
        pool: LabelledPool,
        out: Path,
        processes: Processes,
        progress: Progress,
        initial: InitialEncoder | None,
    ) -> None:
        self.labelled = pool
        if "phoneme" in (config.labels or ()) and not pool.phonemes:
            raise InputError(
                f"{pool.folder}: the pool has no phonemes; name other --labels, such as pitches"
            )
        with processes.main_first():
            self.teachers = {
                name: TeacherEmbeddings.open(pool.folder, name, pool, partial(progress, name))
                for name in config.teachers or ()
            }
        super().__init__(config, pool, out, processes, progress, initial)
        if self.teachers:
            found = {name: teacher.facts for name, teacher in self.teachers.items()}
            self.settings["taught_by"] = found

    def _new_model(self, statistics: MelStatistics | None) -> MixedObjective:
        widths = {name: teacher.dim for name, teacher in self.teachers.items()}
        return MixedObjective(self.config, self.labelled.phonemes, widths, statistics)

    def _fit(self) -> None:
        if self.config.weighs_masked:
            super()._fit()
            self.model.fit_masked()
        batches = list(self._labels())
        for head in self.model.heads.values():
            if isinstance(head, LabelHead):
                head.fit(batches)
            elif isinstance(head, TeacherHead):
                head.fit(self.teachers[head.name])

    def _labels(self) -> Iterator[LabelledBatch]:
        """Yield batches without their audio, for frequencies of labels."""
        for number in range(TARGET_BATCHES * self.config.micro_batches):
            rng = generator(self.config.seed, "labels", number)
            batch = self._draw_labelled(rng, {})
            yield replace(batch, waveform=batch.waveform[:, :0]).to(self.device)

    def _predict(self, purpose: str, number: int, *, held_out: bool = False) -> MixedPrediction:
        rng = generator(self.config.seed, purpose, number)
        batch = self._draw_labelled(rng, self.teachers, held_out=held_out)
        masked = None
        if self.config.weighs_masked:
            masked = draw_masked(self.config, batch.waveform, rng).to(self.device)
        return self.model.predict(batch.to(self.device), masked)

    def _draw(self, rng: np.random.Generator, *, held_out: bool = False) -> Tensor:
        return self._draw_labelled(rng, {}, held_out=held_out).waveform

    def _draw_labelled(
        self,
        rng: np.random.Generator,
        teachers: dict[str, TeacherEmbeddings],
        *,
        held_out: bool = False,
    ) -> LabelledBatch:
        config = self.config
        drawn = config.clips_at_once, config.samples
        options = {"held_out": held_out, "augment": config.augment}
        return draw_labelled(self.labelled, teachers, rng, *drawn, **options)

    def _metrics(self) -> MixedMetrics:
        return MixedMetrics(self.config)

    def _judge_start(self) -> None:
        """Say nothing: heads of labels and teachers are always new."""
