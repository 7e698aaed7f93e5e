"""Lengths of resampled audio: those of librosa, which loads the audio of the published pipelines.

Where 44.1 kHz and its multiples give a whole number of samples at 24 kHz, librosa's product of
floats often lies just above it, and the waveform gets one zero more: so it is with three of four
files of whole seconds. The reflection at the end of the log-mel depends on it.
"""

import numpy as np
import pytest
import soundfile
import torch

from benchmarks.common.published import golden_encoders, published_features, published_waveform
from hear_aesthetics import load_model
from hear_aesthetics.audio import load_audio, resample
from hear_aesthetics.audio.loading import resampled_length

RATES = (44_100, 22_050, 88_200, 48_000, 32_000, 16_000, 96_000)
CD_RATES = RATES[:3]
MOST, CHUNK = 12_000_000, 3_000_000
PERIOD = 147  # samples at 44.1 kHz that are a whole number, 80, at 24 kHz


def by_librosa(samples, rate):
    """The rule of ``librosa.resample``, restated for an array of lengths."""
    return np.ceil(samples * (24_000.0 / rate)).astype(np.int64)


def write_noise(path, seconds, rate, channels=1):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    soundfile.write(path, samples, rate)
    return path


@pytest.mark.parametrize("rate", RATES)
def test_every_length_is_librosas(rate):
    """Where the rules differ is found among all lengths; ours is asked there and elsewhere."""
    longer = []
    for first in range(1, MOST, CHUNK):
        samples = np.arange(first, first + CHUNK)
        more = by_librosa(samples, rate) + (-samples * 24_000 // rate)  # than the exact ceiling
        assert set(np.unique(more)) <= {0, 1}
        longer += samples[more == 1].tolist()
    assert len(longer) == (57_436 if rate in CD_RATES else 0)
    elsewhere = np.random.default_rng(0).integers(1, MOST, 20_000).tolist()
    asked = [*longer, *elsewhere, *range(PERIOD, 100 * PERIOD, PERIOD)]
    ours = [resampled_length(samples, rate, 24_000) for samples in asked]
    np.testing.assert_array_equal(ours, by_librosa(np.array(asked), rate))


@pytest.mark.parametrize("rate", RATES)
def test_of_ten_minutes_of_whole_seconds_three_quarters_are_longer(rate):
    seconds = range(1, 601)
    more = [resampled_length(n * rate, rate, 24_000) - n * 24_000 for n in seconds]
    assert sum(more) == (438 if rate in CD_RATES else 0)


@pytest.mark.parametrize("rate", CD_RATES)
def test_audio_for_hear_is_not_longer(rate):
    """One sample more at 48 kHz would start another frame of 40 ms."""
    for seconds in range(1, 100):
        assert resampled_length(seconds * rate, rate, 48_000) == seconds * 48_000


@pytest.mark.parametrize("rate", CD_RATES)
@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_ten_seconds_end_with_one_zero(rate, name, tmp_path):
    waveform = load_audio(write_noise(tmp_path / name, 10, rate))
    assert waveform.shape == (240_001,)
    assert waveform[-1] == 0
    assert waveform[-2] != 0


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [10, 10.0001, 9.9876])
def test_audio_in_blocks_equals_audio_at_once_bit_for_bit(rate, seconds, tmp_path):
    path = write_noise(tmp_path / "a.wav", seconds, rate)
    samples, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(load_audio(path), resample(samples, rate, 24_000))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # librosa's own imports
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [3, 3.0001])
@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_same_waveform_as_librosa(name, seconds, rate, tmp_path):
    librosa = pytest.importorskip("librosa")
    path = write_noise(tmp_path / name, seconds, rate, channels=2)
    expected, _ = librosa.load(path, sr=24_000, mono=True)
    np.testing.assert_allclose(load_audio(path), expected, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_same_mp3_as_librosa(tmp_path):
    librosa = pytest.importorskip("librosa")
    path = write_noise(tmp_path / "a.mp3", 3, 44_100)
    expected, _ = librosa.load(path, sr=24_000, mono=True)
    np.testing.assert_allclose(load_audio(path), expected, rtol=0, atol=1e-6)


@pytest.mark.parity
def test_features_of_ten_seconds_are_the_published_ones(tmp_path, tiny_model_directory):
    """With the sample missing, the last frames differ by more than 1e-3."""
    path = write_noise(tmp_path / "a.wav", 10, 44_100)
    samples, _ = soundfile.read(path, dtype="float32")
    waveform = published_waveform(samples, 44_100)
    assert waveform.shape == (1, 240_001)
    published = published_features(golden_encoders(), waveform, layer=10)
    short = published_features(golden_encoders(), waveform[:, :-1], layer=10)
    model = load_model(str(tiny_model_directory), precision="float32", layer=10)
    ours = model.features(torch.from_numpy(load_audio(path))[None])
    scale = published.square().mean().sqrt()
    assert (ours - published).abs().max() < 1e-5 * scale
    assert (short - published).abs().max() > 1e-3 * scale
