"""What Ray gives up or stalls on is started anew, and each item has one result."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hear_aesthetics.distributed import pipeline
from hear_aesthetics.distributed.cluster import Cluster
from hear_aesthetics.engine.inference import Result
from hear_aesthetics.engine.inputs import Input

pytest.importorskip("ray")
import ray.data
from ray.data.exceptions import ExecutionTimeoutError

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own
ITEMS = [Input(Path(f"{name}.wav"), name) for name in "abcdef"]


class Streams:
    """Runs of the pipeline, each of which ends early after so many results."""

    def __init__(self, *made: int) -> None:
        self._made = list(made)
        self.places: list[list[int]] = []
        self.alone: list[bool] = []

    def __call__(
        self, cluster: Any, items: Any, places: np.ndarray, settings: Any, *, alone: bool
    ) -> Iterator[tuple[int, Result[Any]]]:
        self.places.append(places.tolist())
        self.alone.append(alone)
        limit = self._made.pop(0)
        for place in places[:limit].tolist():
            yield place, Result(items[place], 1.0, output=place)
            yield place, Result(items[place], 1.0, output="twice")
        if limit < len(places):
            raise ExecutionTimeoutError("no progress\nfor long")


def _run(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> dict[int, list[Result[Any]]]:
    monkeypatch.setattr(pipeline, "_stream", streams)
    found: dict[int, list[Result[Any]]] = {}
    work: Any = SimpleNamespace(load=None)
    for place, result in pipeline.run_on_ray(Cluster(ray), ITEMS, work):
        found.setdefault(place, []).append(result)
    return found


def test_a_stalled_run_goes_on_with_what_is_missing(monkeypatch, caplog) -> None:
    streams = Streams(2, 3, 6)
    found = _run(streams, monkeypatch)
    assert streams.places == [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5], [5]]
    assert streams.alone == [False, False, False]
    assert {place: [r.output for r in made] for place, made in found.items()} == {
        place: [place] for place in range(6)
    }
    assert "Ray stopped with 4 of 6 rows missing (no progress)" in caplog.text


def test_what_never_ends_is_an_error_of_its_row(monkeypatch) -> None:
    streams = Streams(2, 0, 0, 3)
    found = _run(streams, monkeypatch)
    assert streams.alone == [False, False, False, True]
    errors = {place: str(made[0].error) for place, made in found.items() if made[0].error}
    assert errors == {
        5: "f.wav: Ray gave it up 4 times; run it without --ray to see why",
    }


def test_results_are_put_in_order() -> None:
    early = ((place, Result(ITEMS[place], 1.0, output=place)) for place in (2, 0, 1, 4, 3))
    assert [result.output for result in pipeline.in_order(early)] == list(range(5))
