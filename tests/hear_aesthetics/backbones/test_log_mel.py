import math

import numpy as np
import pytest
import torch

from hear_aesthetics.backbones.log_mel import FRAMES_PER_CHUNK, LogMel, mel_filterbank
from hear_aesthetics.spec import HOP_LENGTH, MIN_SAMPLES, N_FFT, SAMPLE_RATE


@pytest.fixture(scope="module")
def log_mel() -> LogMel:
    return LogMel()


def test_filters_are_triangles_on_the_htk_scale():
    filters = mel_filterbank()
    top = 2595 * math.log10(1 + 12_000 / 700)
    centres = 700 * (10 ** (np.linspace(0, top, 130)[1:-1] / 2595) - 1)
    bins = SAMPLE_RATE / N_FFT
    assert filters.shape == (1025, 128)
    assert filters.min() == 0
    assert filters.max() <= 1
    wide = centres > 40 * bins  # narrower triangles miss the bin at their centre
    peaks = filters.argmax(0).numpy() * bins
    assert np.abs(peaks - centres)[wide].max() <= bins


@pytest.mark.parity
def test_filters_equal_those_in_the_published_checkpoint(golden):
    stored = torch.load(golden / "musicfm_tiny/musicfm/pretrained_msd.pt", weights_only=True)
    published = stored["state_dict"]["model.preprocessor_melspec_2048.mel_stft.mel_scale.fb"]
    # heights up to 1, from powers in float32, which vector instructions round otherwise
    torch.testing.assert_close(mel_filterbank(), published, rtol=0, atol=3e-5)


def test_chunks_do_not_change_a_value(log_mel):
    samples = (2 * FRAMES_PER_CHUNK + 77) * HOP_LENGTH + 13
    waveform = torch.randn(2, samples, generator=torch.Generator().manual_seed(0)) * 0.1
    whole = log_mel(waveform)
    assert whole.shape == (2, 128, samples // HOP_LENGTH)
    start = (FRAMES_PER_CHUNK - 6) * HOP_LENGTH  # a piece across the first chunk's end
    piece = log_mel(waveform[:, start : start + 40 * HOP_LENGTH])
    inside = slice(5, 30)
    torch.testing.assert_close(
        piece[..., inside],
        whole[..., FRAMES_PER_CHUNK - 6 + 5 : FRAMES_PER_CHUNK - 6 + 30],
        rtol=0,
        atol=1e-4,
    )


def test_silence_reaches_the_floor_and_stays_finite(log_mel):
    assert (log_mel(torch.zeros(1, 24_000)) == -100).all()


def test_a_tone_peaks_in_its_band(log_mel):
    time = torch.arange(24_000, dtype=torch.float64) / SAMPLE_RATE
    tone = torch.sin(2 * math.pi * 1000 * time).float()[None]
    band = log_mel(tone)[0, :, 50].argmax()
    assert mel_filterbank()[round(1000 * N_FFT / SAMPLE_RATE), band] > 0


def test_too_short_audio_says_how_much_is_needed(log_mel):
    assert log_mel(torch.zeros(1, MIN_SAMPLES)).shape[-1] == MIN_SAMPLES // HOP_LENGTH
    with pytest.raises(ValueError, match="need 1025"):
        log_mel(torch.zeros(1, MIN_SAMPLES - 1))
