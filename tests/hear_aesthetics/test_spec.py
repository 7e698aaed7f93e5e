import pytest

from hear_aesthetics import spec


@pytest.mark.parametrize(
    ("samples", "mel_frames", "frames"),
    [(12_000, 50, 13), (127_200, 530, 133), (760_800, 3170, 793), (1_440_900, 6003, 1501)],
)
def test_frame_counts_are_the_published_ones(samples, mel_frames, frames):
    assert spec.mel_frame_count(samples) == mel_frames
    assert spec.frame_count(samples) == frames


def test_rates_derive_exactly():
    assert (spec.FRAME_RATE, spec.FRAME_MS) == (25, 40)
    assert spec.MIN_SAMPLES == 1025


def test_inexact_rates_are_refused():
    with pytest.raises(ValueError, match="not a multiple"):
        spec._exact_div(24_000, 241)
