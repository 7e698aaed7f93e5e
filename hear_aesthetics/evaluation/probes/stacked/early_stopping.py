"""Early stopping of one fit: the best validation so far, and whether to go on."""

import math

from hear_aesthetics.evaluation.tasks.event_postprocessing import Postprocessing

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Best validation of one fit so far, by scores signed so that more is better."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self.best = (-math.inf, -math.inf)
        self.epoch = -1
        self.postprocessing: Postprocessing = ()
        self.waited = 0

    def update(self, score: float, loss: float, epoch: int, chosen: Postprocessing) -> bool:
        """Take note of a validation; return True if it is the best yet.

        An undefined score (NaN) ranks last and leaves the patience as it is.
        """
        defined = not math.isnan(score)
        entry = (score if defined else -math.inf, -loss if math.isfinite(loss) else -math.inf)
        if defined:
            self.waited = 0 if score > self.best[0] else self.waited + 1
        better = entry > self.best or self.epoch < 0
        if better:
            self.best, self.epoch, self.postprocessing = entry, epoch, chosen
        return better

    @property
    def finished(self) -> bool:
        """Whether the score has not risen for as many validations as the patience allows."""
        return self.waited >= self._patience
