"""Codecs: the bit rates are those asked for, and what comes back lies where it lay."""

from functools import partial

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from hear_aesthetics.audio.streams import mpeg_parts
from hear_aesthetics.errors import AudioError
from songeval_task.audit.codecs import aac, encode_mp3, mp3, opus, vorbis
from songeval_task.audit.samples import Audio

# Index in the header of an MPEG-1 layer III frame -> kbit/s (ISO/IEC 11172-3, 2.4.2.3).
KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
RATES = (22_050, 24_000, 44_100, 48_000, 96_000)
CODECS = {
    "mp3": partial(mp3, kbps=320),
    "vorbis": vorbis,
    "opus": opus,
    "aac": partial(aac, kbps=128),
}


def dull_noise(rate: int, channels: int = 2, seconds: float = 2.0) -> Audio:
    """Noise below 3 kHz, which no codec drops."""
    noise = np.random.default_rng(0).standard_normal((round(seconds * rate), channels))
    low = sosfilt(butter(4, 3000, fs=rate, output="sos"), 0.3 * noise, axis=0)
    return Audio(low.astype(np.float32), rate)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kbps", [64, 128, 320])
def test_every_mp3_frame_has_the_bit_rate(rate, kbps) -> None:
    data = encode_mp3(dull_noise(rate, seconds=0.5), kbps)
    (part,) = mpeg_parts(data)
    headers = {data[begin + 2] >> 4 for begin, _ in part.spans}
    assert {KBPS[index] for index in headers} == {kbps}
    seconds = 0.5 + 1152 * 4 / 44_100  # padding of the encoder
    assert kbps * 0.5 * 125 <= len(data) <= kbps * seconds * 125


def correlation(audio: Audio, found: Audio, lag: int) -> float:
    """Of the middle second, if ``found`` were so many samples of 44.1 kHz late."""
    times = np.arange(0.5, 1.5, 1 / 48_000)
    ours, theirs = (
        np.interp(times + late, np.arange(len(a.samples)) / a.sample_rate, a.samples[:, 0])
        for a, late in ((audio, 0.0), (found, lag / 44_100))
    )
    return float(np.corrcoef(ours, theirs)[0, 1])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("codec", CODECS)
def test_what_comes_back_is_neither_early_nor_late(codec, rate) -> None:
    if codec == "aac":
        pytest.importorskip("av")
    audio = dull_noise(rate, channels=1)
    found = CODECS[codec](audio)
    assert len(found.samples) / found.sample_rate == pytest.approx(2.0, abs=0.05)
    by_lag = {lag: correlation(audio, found, lag) for lag in range(-4, 5)}
    assert max(by_lag, key=by_lag.__getitem__) == 0
    assert by_lag[0] > 0.95


@pytest.mark.parametrize("codec", CODECS)
def test_more_channels_than_two_are_refused(codec) -> None:
    if codec == "aac":
        pytest.importorskip("av")
    with pytest.raises(AudioError, match="mono or stereo, this has 3 channels"):
        CODECS[codec](dull_noise(44_100, channels=3, seconds=0.1))
