from dataclasses import replace

import numpy as np
import pytest

from hear_aesthetics.synthesis import Qualities, compose, render, render_layers
from hear_aesthetics.synthesis.composition.records import Composition, Recording, Span
from hear_aesthetics.synthesis.sound.effects import brightness, rms_db


@pytest.fixture(scope="module")
def composition() -> Composition:
    return compose(5, 10.0, Qualities(2.0, 3.0, 4.0, 2.5, 3.5))


@pytest.mark.parametrize("sample_rate", [16_000, 24_000, 48_000])
def test_the_song_has_exactly_the_asked_length(composition: Composition, sample_rate: int) -> None:
    song = render(composition, sample_rate)
    assert song.shape == (10 * sample_rate,)
    assert song.dtype == np.float32
    assert np.abs(song).max() <= 1.0


def test_same_composition_same_samples_whatever_the_global_random_state(
    composition: Composition,
) -> None:
    first = render(composition)
    np.random.seed(0)  # noqa: NPY002  the state that must not matter
    assert np.array_equal(first, render(composition))


def test_level_and_brightness_are_those_of_the_production(composition: Composition) -> None:
    song = render(composition)
    assert rms_db(song) == pytest.approx(composition.production.rms_db, abs=0.1)
    measured = brightness(song)
    assert measured.centroid_hz == pytest.approx(composition.production.centroid_hz, rel=0.05)
    assert measured.crossing_rate == pytest.approx(composition.production.crossing_rate, rel=0.05)


def test_a_note_sounds_when_it_is_written(composition: Composition) -> None:
    note = next(note for note in composition.layer("bass") if note.onset > 1.0)
    alone = render_layers(replace(composition, notes=(note,)))["bass"]
    sounding = np.flatnonzero(np.abs(alone) > 0.01 * np.abs(alone).max()) / 24_000
    assert sounding[0] == pytest.approx(note.onset, abs=0.01)
    assert sounding[-1] <= note.onset + note.seconds + 0.1


def test_layers_are_those_of_the_composition(composition: Composition) -> None:
    assert set(render_layers(composition)) == {note.layer for note in composition.notes}


def test_a_song_fades_into_its_last_second(composition: Composition) -> None:
    song = render(composition)
    assert np.std(song[-4800:]) < np.std(song[: 24_000 * 8])


def test_a_foreign_take_differs_in_level_and_the_rest_of_the_song_does_not() -> None:
    level, half = 6.0, 24_000 * 4
    plain = compose(5, 10.0)
    takes = (Span(0.0, 4.0, Recording(0.0, level)), Span(4.0, 9.0, Recording()))
    spliced = render(replace(plain, takes=takes))

    def steps(song: np.ndarray) -> float:
        return rms_db(song[:half]) - rms_db(song[half : 2 * half])

    # the equalizer sees another song, so a little of its tone changes as well
    assert steps(spliced) == pytest.approx(steps(render(plain)) + level, abs=1.0)


def test_a_foreign_take_differs_in_tone() -> None:
    plain = compose(5, 10.0)
    takes = (Span(0.0, 4.0, Recording(-4.0, 0.0)), Span(4.0, 9.0, Recording(4.0, 0.0)))
    spliced = render(replace(plain, takes=takes))

    def ratio(song: np.ndarray) -> float:
        return (
            brightness(song[: 24_000 * 4]).centroid_hz / brightness(song[24_000 * 5 :]).centroid_hz
        )

    assert ratio(spliced) < 0.7 * ratio(render(plain))
