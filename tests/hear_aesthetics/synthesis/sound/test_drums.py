import numpy as np
import pytest

from hear_aesthetics.synthesis import DRUMS, render_drum


@pytest.mark.parametrize("sample_rate", [8_000, 24_000, 48_000])
@pytest.mark.parametrize("name", DRUMS)
def test_every_drum_dies_away_at_every_rate(name: str, sample_rate: int) -> None:
    hit = render_drum(name, 0.9, sample_rate)
    assert hit.dtype == np.float32
    assert np.isfinite(hit).all()
    quarter = len(hit) // 4
    assert np.abs(hit[-quarter:]).max() < 0.3 * np.abs(hit).max()


def test_kick_is_low_and_hat_is_high() -> None:
    def centroid(name: str) -> float:
        spectrum = np.abs(np.fft.rfft(render_drum(name), 24_000))
        return float(spectrum @ np.arange(len(spectrum)) / spectrum.sum())

    assert centroid("kick") < 3000
    assert centroid("closed hat") > 6000


def test_hits_differ_by_generator_only() -> None:
    assert np.array_equal(render_drum("snare"), render_drum("snare"))
    assert not np.array_equal(
        render_drum("snare"), render_drum("snare", rng=np.random.default_rng(5))
    )


def test_an_unknown_drum_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown drum 'gong'; choose one of: kick"):
        render_drum("gong")
