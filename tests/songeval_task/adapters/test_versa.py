"""The VERSA metric under a small stand-in of VERSA's registry and scorer."""

import enum
import runpy
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from songeval_task import AestheticScorer
from songeval_task.adapters.versa import HearAestheticsMetric


@dataclass
class Metadata:
    """Fields of VERSA's ``MetricMetadata``, in its order."""

    name: str
    category: enum.Enum
    metric_type: enum.Enum
    requires_reference: bool
    requires_text: bool
    gpu_compatible: bool
    auto_install: bool
    dependencies: list[str]
    description: str


class Registry(dict):
    """Metrics by name."""

    def register(self, metric: type, metadata: Metadata) -> None:
        self[metadata.name] = metric


@pytest.fixture
def versa(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The package ``versa``; its program fills ``metrics`` as the real one fills its registry."""
    names = ("versa", "versa.definition", "versa.bin", "versa.bin.scorer")
    for name in names:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    package, definition, _, scorer = (sys.modules[name] for name in names)
    definition.MetricMetadata = Metadata
    definition.MetricCategory = enum.Enum("MetricCategory", ["INDEPENDENT"])
    definition.MetricType = enum.Enum("MetricType", ["DICT"])
    package.metrics = Registry()

    def main() -> None:
        for name in dir(package):
            if name.startswith("register_") and name.endswith("_metric"):
                getattr(package, name)(package.metrics)

    scorer.main = main
    return package


def test_the_program_adds_the_metric_before_versa_starts(versa: Any) -> None:
    """VERSA reads its metrics from its own package, and has no other way to be given one."""
    with pytest.warns(RuntimeWarning, match="found in sys.modules"):
        runpy.run_module("songeval_task.adapters.versa", run_name="__main__")
    (name,) = versa.metrics
    assert name == "hear_aesthetics"
    assert versa.metrics[name].get_metadata().requires_reference is False


def test_scores_are_those_of_the_file(versa: Any, write_clip, tmp_path) -> None:
    """VERSA decodes by itself, to float64 at the file's rate."""
    path = write_clip(tmp_path / "song.wav", seconds=1.0, sample_rate=44_100)
    metric = HearAestheticsMetric({"name": "hear_aesthetics", "model": "mini", "use_gpu": False})
    samples, rate = soundfile.read(path)
    known = {"key": "song", "sample_rate": rate, "text": None}
    found = metric.compute(predictions=samples, references=None, metadata=known)
    scores = AestheticScorer.from_pretrained(model="mini").score(path)
    expected = {f"hear_aesthetics_{k}": v for k, v in {**scores.values, **scores.means}.items()}
    assert found == pytest.approx(expected, abs=1e-4)
    assert all(isinstance(value, float) for value in found.values())


def test_heads_are_chosen_in_the_configuration(versa: Any, published_heads) -> None:
    """A name of no head is an error when VERSA loads the metric, not a score."""
    with pytest.raises(ValueError, match="'nothing' is neither a head"):
        HearAestheticsMetric({"heads": ["demo", "nothing"], "model": "mini"})
    metric = HearAestheticsMetric({"heads": ["demo"], "model": "mini"})
    audio = {"sample_rate": 24_000}
    silent = metric.compute(np.zeros(24_000), metadata=audio)
    assert set(silent) >= {"hear_aesthetics_Musicality", "hear_aesthetics_mean"}
