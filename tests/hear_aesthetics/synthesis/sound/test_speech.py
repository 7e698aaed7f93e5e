import numpy as np
import pytest

from hear_aesthetics.synthesis import speech_like


@pytest.mark.parametrize("seconds", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("sample_rate", [16_000, 24_000])
def test_speech_has_the_asked_length_and_level(seconds: float, sample_rate: int) -> None:
    speech = speech_like(seconds, np.random.default_rng(1), sample_rate)
    assert speech.shape == (round(seconds * sample_rate),)
    assert speech.dtype == np.float32
    assert np.sqrt(np.mean(speech**2)) == pytest.approx(0.1, rel=1e-3)


def test_speech_is_reproducible_and_speakers_differ() -> None:
    first = speech_like(2.0, np.random.default_rng(1))
    assert np.array_equal(first, speech_like(2.0, np.random.default_rng(1)))
    assert not np.array_equal(first, speech_like(2.0, np.random.default_rng(2)))


def test_speech_comes_in_syllables_with_pauses() -> None:
    """Speech is modulated at a few Hz and has silences; steady sounds are not and have none."""
    speech = speech_like(20.0, np.random.default_rng(0))
    envelope = np.sqrt(np.convolve(speech**2, np.ones(480) / 480, "same")[::240])
    assert 0.05 < np.mean(envelope < 0.05 * envelope.max()) < 0.5
    modulation = np.abs(np.fft.rfft(envelope - envelope.mean())) ** 2
    hertz = np.fft.rfftfreq(len(envelope), 0.01)
    assert modulation[(hertz > 1) & (hertz < 8)].mean() > 4 * modulation[hertz > 15].mean()
