"""Clips as the released code prepares them: torchaudio's resampler, thirty seconds, own states."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from hear_aesthetics.errors import AudioError
from musiceval_task.data.dataset import MusicEvalClip
from musiceval_task.features.released_audio import load_released, sinc_resample
from musiceval_task.features.states import AudioEncoder, StateStore, clip_states

LENGTH = 30 * 24_000


def clip(path: Path, samples: np.ndarray, rate: int) -> MusicEvalClip:
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return MusicEvalClip(path.name, path, "")


def noise(*shape: int) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("orig", "new", "length", "first", "last"),
    [
        (
            *(48, 32, 321),
            [-0.17334533, -0.11818932, 0.26006922],
            [0.17899688, 0.22304578],
        ),
        (
            *(441, 320, 350),
            [-0.13520041, -0.22531028, 0.36233351],
            [0.32756728, -0.06205245],
        ),
    ],
)
def test_the_resampler_is_torchaudios(
    orig: int, new: int, length: int, first: list[float], last: list[float]
) -> None:
    """Values of torchaudio 2.11 for this noise, its defaults."""
    waveform = torch.rand(2, 481, generator=torch.Generator().manual_seed(7)) * 2 - 1
    found = sinc_resample(waveform, orig, new)
    assert found.shape == (2, length)
    torch.testing.assert_close(found[0, :3], torch.tensor(first), rtol=0, atol=2e-6)
    torch.testing.assert_close(found[1, -2:], torch.tensor(last), rtol=0, atol=2e-6)


@pytest.mark.parametrize(("rate", "samples"), [(16_000, 900), (44_100, 2_000), (48_000, 1_001)])
def test_every_sample_is_the_windowed_sum_around_its_time(rate: int, samples: int) -> None:
    waveform = torch.from_numpy(noise(1, samples))
    found = sinc_resample(waveform, rate, 24_000)[0]
    assert len(found) == math.ceil(samples * 24_000 / rate)
    cutoff = 0.99 * min(rate, 24_000)
    for place in (0, 1, len(found) // 2, len(found) - 1):
        phase = cutoff * (np.arange(samples) / rate - place / 24_000)
        weights = np.sinc(phase) * np.cos(np.pi * phase / 12) ** 2 * (abs(phase) <= 6)
        expected = float(cutoff / rate * (weights * waveform[0].double().numpy()).sum())
        assert float(found[place]) == pytest.approx(expected, abs=2e-7)


def test_short_clips_are_padded_and_long_ones_cut(tmp_path: Path) -> None:
    short, long = noise(12_000), noise(33 * 24_000)
    loaded = load_released(clip(tmp_path / "short.wav", short, 24_000))
    assert (loaded.shape, loaded.dtype) == ((LENGTH,), np.float32)
    np.testing.assert_array_equal(loaded[:12_000], short)
    assert not loaded[12_000:].any()
    np.testing.assert_array_equal(
        load_released(clip(tmp_path / "long.wav", long, 24_000)), long[:LENGTH]
    )


def test_the_cut_does_not_show_at_another_rate(tmp_path: Path) -> None:
    """The released code resamples the whole file and cuts then."""
    samples = noise(33 * 16_000)
    found = load_released(clip(tmp_path / "long.wav", samples, 16_000))
    whole = sinc_resample(torch.from_numpy(samples)[None], 16_000, 24_000)[0, :LENGTH]
    np.testing.assert_allclose(found, whole.numpy(), rtol=0, atol=1e-7)


def test_channels_are_resampled_and_averaged(tmp_path: Path) -> None:
    samples = noise(4_800, 2)
    found = load_released(clip(tmp_path / "stereo.wav", samples, 48_000))
    channels = sinc_resample(torch.from_numpy(samples.T.copy()), 48_000, 24_000)
    np.testing.assert_allclose(found[:2_400], channels.mean(dim=0).numpy(), rtol=0, atol=1e-7)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "odd.wav").write_bytes(b"no audio")
    with pytest.raises(AudioError, match=r"odd\.wav"):
        load_released(MusicEvalClip("odd.wav", tmp_path / "odd.wav", ""))


def test_released_states_are_of_thirty_seconds_in_float32_and_never_mix(tmp_path: Path) -> None:
    item, store = clip(tmp_path / "a.wav", noise(12_000), 24_000), StateStore(tmp_path / "states")
    encoder = AudioEncoder("mini", device="cpu", released=True)
    assert encoder.fingerprint()["precision"] == "float32"
    (states,) = clip_states([item], encoder, store)
    assert (len(states), states.dtype) == (750, torch.float32)
    expected = encoder.states(torch.from_numpy(load_released(item))[None])[0]
    torch.testing.assert_close(states, expected, rtol=0, atol=1e-5)
    corrected = AudioEncoder("mini", precision="float32", device="cpu")
    (masked,) = clip_states([item], corrected, store)
    assert corrected.encoded == 1, "its states are others"
    assert len(masked) == 13
    assert not torch.allclose(masked.float(), states[:13], atol=1e-2), "silence is heard"
