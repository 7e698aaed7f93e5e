import numpy as np

from hear_aesthetics.synthesis import demo_song


def test_demo_song_has_the_asked_length_and_level() -> None:
    song = demo_song(seconds=6.0, seed=3, sample_rate=48_000)
    assert song.shape == (288_000,)
    assert song.dtype == np.float32
    assert 0.01 < np.sqrt(np.mean(song**2)) < 0.5
    assert np.abs(song).max() <= 1.0


def test_same_seed_gives_the_same_samples_and_another_seed_does_not() -> None:
    first = demo_song(6.0, seed=3, sample_rate=24_000)
    np.random.seed(0)  # noqa: NPY002  global state must not matter
    assert np.array_equal(first, demo_song(6.0, seed=3, sample_rate=24_000))
    assert not np.array_equal(first, demo_song(6.0, seed=4, sample_rate=24_000))
