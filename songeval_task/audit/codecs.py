"""Lossy codecs: audio is encoded to a temporary file, and decoded as any file is.

libsndfile writes MP3, Vorbis and Opus, PyAV (an extra) AAC. A codec that does not take the rate of
the audio gets the next higher one that it takes; MP3 gets 32 kHz or more, since only there 320
kbit/s exist, and Opus 48 kHz.
"""

import math
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hear_aesthetics.audio.saving import encode_audio
from hear_aesthetics.errors import AudioError
from songeval_task.audit.samples import Audio, at_rate, decode

__all__ = ["aac", "check_channels", "encode_aac", "encode_mp3", "mp3", "opus", "vorbis"]

MP3_RATES = (32_000, 44_100, 48_000)  # Hz, of MPEG-1
MP3_KBPS = (
    32,
    320,
)  # least and most of MPEG-1, which libsndfile puts at compression levels 1 and 0
OPUS_RATE = 48_000  # its own; at others libsndfile comes back a sample late
AAC_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
MOST_CHANNELS = 2
AAC_BLOCK = 1 << 16  # frames


def mp3(audio: Audio, kbps: int) -> Audio:
    """Return audio after MP3 of a constant bit rate in kbit/s."""
    return _decoded(encode_mp3(audio, kbps), ".mp3")


def vorbis(audio: Audio) -> Audio:
    """Return audio after Ogg Vorbis at libsndfile's default quality."""
    check_channels(audio)
    encoded = encode_audio(*audio, format="OGG", subtype="VORBIS")
    return _decoded(encoded, ".ogg")


def opus(audio: Audio) -> Audio:
    """Return audio after Ogg Opus at libsndfile's default bit rate."""
    check_channels(audio)
    encoded = encode_audio(*at_rate(audio, OPUS_RATE), format="OGG", subtype="OPUS")
    return _decoded(encoded, ".opus")


def aac(audio: Audio, kbps: int) -> Audio:
    """Return audio after AAC in an M4A file, as FFmpeg encodes it for a bit rate in kbit/s.

    Raises:
        ImportError: If PyAV is not installed.
    """
    return _decoded(encode_aac(audio, kbps), ".m4a")


def encode_mp3(audio: Audio, kbps: int) -> bytes:
    """Return an MP3 file of a constant bit rate in kbit/s."""
    check_channels(audio)
    least, most = MP3_KBPS
    level = (most - kbps) / (most - least)
    accepted = _accepted(audio, MP3_RATES)
    return encode_audio(*accepted, format="MP3", bitrate_mode="CONSTANT", compression_level=level)


def encode_aac(audio: Audio, kbps: int) -> bytes:
    """Return an M4A file with AAC of a bit rate in kbit/s.

    Raises:
        ImportError: If PyAV is not installed.
    """
    import av  # an extra

    check_channels(audio)
    samples, rate = _accepted(audio, AAC_RATES)
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    encoded = BytesIO()
    with av.open(encoded, "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=rate, layout=layout)
        stream.bit_rate = 1000 * kbps
        for first in range(0, len(samples), AAC_BLOCK):
            block = np.ascontiguousarray(samples[first : first + AAC_BLOCK].T)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
            # Without times the file does not say how much of its beginning is no audio.
            frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return encoded.getvalue()


def check_channels(audio: Audio) -> None:
    """Raise ``AudioError`` for audio that is neither mono nor stereo."""
    if audio.samples.shape[1] > MOST_CHANNELS:
        raise AudioError(f"takes mono or stereo, this has {audio.samples.shape[1]} channels")


def _accepted(audio: Audio, rates: tuple[int, ...]) -> Audio:
    return at_rate(audio, next((r for r in rates if r >= audio.sample_rate), rates[-1]))


def _decoded(encoded: bytes, suffix: str) -> Audio:
    with TemporaryDirectory() as folder:
        path = Path(folder, f"audio{suffix}")
        path.write_bytes(encoded)
        return decode(path, min_seconds=0, max_minutes=math.inf)  # the song itself was let in
