"""The example module has the HEAR functions, and what it computes is what it says."""

import numpy as np
import pytest

from hear_aesthetics.evaluation.embeddings.module import HearModule
from tests.examples.conftest import EXAMPLES

FILES = ("low", "high", "half")
SECONDS = 1.234


@pytest.fixture
def melstats(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return HearModule("melstats", device="cpu")


@pytest.fixture
def audio(melstats):
    """A low tone, a high tone, and the low tone in the second half only."""
    times = np.arange(round(SECONDS * melstats.sample_rate)) / melstats.sample_rate
    low, high = (np.sin(2 * np.pi * frequency * times) for frequency in (200, 4000))
    return np.stack([low, high, low * (times > SECONDS / 2)]).astype(np.float32)


def test_scenes_tell_pitch_by_the_mean_and_change_by_the_spread(melstats, audio):
    mean, spread = np.split(melstats.scenes(audio, FILES), 2, axis=1)
    assert mean[0].argmax() < mean[1].argmax()
    assert spread[2].max() > 3 * spread[0].max()


def test_timestamps_cover_the_clip_every_50_ms(melstats, audio):
    values, times = melstats.timestamps(audio, FILES)
    np.testing.assert_array_equal(np.diff(times), 50)
    assert (times[0, 0], times[0, -1]) == (0, 1200)
    loudness = values[2, :, : values.shape[2] // 2].max(1)
    begins = times[2, np.argmax(loudness > loudness.max() - 3)]
    assert begins == pytest.approx(1000 * SECONDS / 2, abs=100)
