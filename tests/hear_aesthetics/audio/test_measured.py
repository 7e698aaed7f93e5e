"""Measured audio: one decoding gives waveforms, loudness and faults."""

import numpy as np
import pytest
import soundfile

from hear_aesthetics.audio.faults import find_faults
from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.audio.measured import measure_audio

NAME = "waveform_24000"


@pytest.fixture
def path(tmp_path):
    """Two seconds of stereo noise at 44.1 kHz."""
    samples = np.random.default_rng(0).normal(0, 0.05, (88_200, 2)).astype("f4")
    soundfile.write(tmp_path / "a.wav", samples, 44_100, subtype="FLOAT")
    return tmp_path / "a.wav"


def test_measures_are_of_the_file_and_waveforms_at_the_target(path) -> None:
    plain, louder = (measure_audio(path, [NAME], target=target) for target in (None, -14.0))
    np.testing.assert_array_equal(plain.waveforms.by_name[NAME], load_audio(path))
    gain = 10 ** ((-14.0 - plain.loudness_lufs) / 20)
    np.testing.assert_allclose(louder.waveforms.by_name[NAME], gain * load_audio(path), rtol=1e-6)
    assert louder.loudness_lufs == plain.loudness_lufs
    assert plain.faults == find_faults(soundfile.read(path, dtype="float32")[0], 44_100)


def test_measuring_can_be_left_out(path) -> None:
    found = measure_audio(path, [NAME], measured=False)
    assert (found.loudness_lufs, found.faults) == (None, ())
    np.testing.assert_array_equal(found.waveforms.by_name[NAME], load_audio(path))
