"""The dimensions and tracks are those of the challenge."""

import json

import pytest

from songeval_task.dimensions import DIMENSIONS, TRACKS


def test_tracks_score_what_the_challenge_asks_for() -> None:
    assert TRACKS["track1"].names == ("Musicality",)
    assert TRACKS["track2"].names == tuple(dimension.name for dimension in DIMENSIONS)


@pytest.mark.parity
def test_thresholds_and_order_are_those_of_the_published_metrics(golden) -> None:
    text = json.dumps(json.loads((golden / "metrics" / "meta.json").read_text()))
    assert TRACKS["track2"].top_tier_thresholds == (4.0, 4.0, 3.75, 3.75, 4.0)
    places = [text.find(name) for name in TRACKS["track2"].names]
    assert places == sorted(places)
    assert min(places) > 0


def test_a_rating_scale_holds_its_threshold() -> None:
    assert all(d.low < d.top_tier < d.high for d in DIMENSIONS)
