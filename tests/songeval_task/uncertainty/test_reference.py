"""Reference songs: what is unlike them is far, and the file holds all of them."""

import json

import numpy as np
import pytest

from songeval_task.uncertainty.reference import ReferenceSongs, cross_distance

WIDTH = 64


@pytest.fixture(scope="module")
def directions():
    return np.random.default_rng(0).normal(size=(6, WIDTH))


def songs(count, directions, seed):
    rng = np.random.default_rng(seed)
    return 5 + rng.normal(size=(count, 6)) @ directions + 0.1 * rng.normal(size=(count, WIDTH))


def test_new_songs_of_the_same_kind_are_as_far_as_the_reference_songs_from_each_other(directions):
    known = songs(200, directions, 1)
    among = cross_distance(known)
    new = ReferenceSongs.of(known).distance(songs(400, directions, 2))
    below = (among < np.median(new)).mean()
    assert 0.35 < below < 0.65


@pytest.mark.parametrize("kind", ["outside", "beyond"])
def test_other_vectors_are_further_than_every_song(directions, kind):
    known = songs(200, directions, 1)
    rng = np.random.default_rng(3)
    odd = {
        "outside": 5 + rng.normal(size=(20, WIDTH)),
        "beyond": 5 + 8 * rng.normal(size=(20, 6)) @ directions,
    }[kind]
    assert (ReferenceSongs.of(known).distance(odd) > cross_distance(known).max()).mean() > 0.9


def test_json_gives_the_same_distances(directions):
    reference = ReferenceSongs.of(songs(80, directions, 1))
    again = ReferenceSongs.from_json(json.loads(json.dumps(reference.as_json())))
    new = songs(9, directions, 4)
    assert np.array_equal(reference.distance(new), again.distance(new))


def test_songs_that_are_all_alike_are_at_no_distance():
    reference = ReferenceSongs.of(np.ones((60, WIDTH)))
    assert np.isfinite(reference.distance(np.ones((3, WIDTH)))).all()
