"""VERSA metric: song scores in the reports of wavlab-speech/versa.

VERSA takes metrics from its own package: run as a program, this module adds one and starts it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from songeval_task.scoring.scorer import AestheticScorer

__all__ = ["HearAestheticsMetric"]

NAME = "hear_aesthetics"


class HearAestheticsMetric:
    """Metric with the interface of ``versa.definition.BaseMetric``.

    Args:
        config: ``heads`` (a list) and ``model``, as ``AestheticScorer.from_pretrained`` takes them.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        chosen = {"heads": [], "model": "large", "use_gpu": False, **(config or {})}
        options = {"model": chosen["model"], "device": "cuda" if chosen["use_gpu"] else "cpu"}
        self.scorer = AestheticScorer.from_pretrained(*chosen["heads"], **options)

    def compute(
        self, predictions: Any, references: Any = None, metadata: Mapping[str, Any] | None = None
    ) -> dict[str, float]:
        """Return the scores of a waveform ``(samples,)`` as ``hear_aesthetics_<column>``."""
        known = metadata or {}
        waveform = torch.from_numpy(np.asarray(predictions, np.float32))[None]
        prompts = [known["text"]] if known.get("text") else None
        scores = self.scorer.score_waveforms(waveform, known["sample_rate"], prompts=prompts)
        values = dict(zip(self.scorer.columns, scores[0].tolist(), strict=True))
        values |= self.scorer.scorer_set.mean_values(values)
        return {f"{NAME}_{column}": value for column, value in values.items()}

    @staticmethod
    def get_metadata() -> Any:
        """Return VERSA's description of the metric."""
        from versa.definition import MetricCategory, MetricMetadata, MetricType

        # Needs neither references nor text, may use a GPU, installs nothing.
        facts = MetricCategory.INDEPENDENT, MetricType.DICT, False, False, True, False
        return MetricMetadata(NAME, *facts, ["songeval_task"], "song aesthetics (SongEval)")


if __name__ == "__main__":
    import versa
    from versa.bin.scorer import main

    metadata = HearAestheticsMetric.get_metadata()
    versa.register_hear_aesthetics_metric = lambda r: r.register(HearAestheticsMetric, metadata)
    main()
