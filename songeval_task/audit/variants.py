"""Variants of a song that its listeners would call the same music.

A variant takes the samples of a file, all channels at the file's own rate, and returns others,
perhaps at another rate; from there they go the way of any file. ``VERSION`` is raised whenever the
sound of a variant changes, so that scores of both are not mixed.

Pitch and tempo come from audiomentations' ``TimeStretch`` (Signalsmith Stretch; the extra
``train``). Tempo is the stretch alone. Pitch is a stretch to another length and resampling back to
the old one: the library's own shift by 1 % misses low notes by half of that and more.
"""

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import numpy as np
import soxr
from scipy.signal import butter, sosfiltfilt

from hear_aesthetics.audio.loading import QUALITY
from hear_aesthetics.audio.loudness import gain_to
from hear_aesthetics.errors import InputError
from songeval_task.audit.codecs import aac, check_channels, mp3, opus, vorbis
from songeval_task.audit.samples import Audio, at_rate, loudness_of

__all__ = ["GROUPS", "ORIGINAL", "VARIANTS", "VERSION", "Variant", "choose_variants"]

VERSION = 1
NOISE_SEED = 0
LOW_PASS_ORDER = 4  # of each of the two passes
AAC_KBPS = 128
STRETCH = "audiomentations"
EXTRAS = {"av": "av", STRETCH: "train"}  # package -> extra


@dataclass(frozen=True)
class Variant:
    """A change of the audio.

    Attributes:
        name: Such as ``"gain -12 dB"``.
        group: Name for ``audit --variants``.
        family: Heading in the picture.
        apply: Audio -> changed audio; it does not write to its argument.
        needs: Package that it needs, if that is an extra.
    """

    name: str
    group: str
    family: str
    apply: Callable[[Audio], Audio]
    needs: str | None = None

    @property
    def missing(self) -> str | None:
        """Reason why it cannot be made here; None if it can."""
        if self.needs is None or find_spec(self.needs):
            return None
        extra = EXTRAS[self.needs]
        return f'{self.needs} is not installed: pip install "hear-aesthetics[{extra}]"'


def _unchanged(audio: Audio) -> Audio:
    return audio


def _gain(audio: Audio, db: float) -> Audio:
    return audio._replace(samples=_scaled(audio.samples, 10 ** (db / 20)))


def _clip(audio: Audio, db: float) -> Audio:
    return audio._replace(samples=np.clip(_gain(audio, db).samples, -1, 1))


def _loudness(audio: Audio, lufs: float) -> Audio:
    return audio._replace(samples=_scaled(audio.samples, gain_to(lufs, loudness_of(audio))))


def _resample(audio: Audio, khz: float) -> Audio:
    return at_rate(audio, round(1000 * khz))


def _low_pass(audio: Audio, khz: float) -> Audio:
    """Return audio below a frequency, which is at -6 dB; forwards and backwards, without delay."""
    if 2000 * khz >= audio.sample_rate:  # nothing is above it
        return audio
    sections = butter(LOW_PASS_ORDER, 1000 * khz, fs=audio.sample_rate, output="sos")
    filtered = sosfiltfilt(sections, audio.samples.astype(np.float64), axis=0)
    return audio._replace(samples=filtered.astype(np.float32))


def _mono(audio: Audio) -> Audio:
    mean = audio.samples.mean(axis=1, keepdims=True, dtype=np.float64)
    return audio._replace(samples=mean.astype(np.float32))


def _invert(audio: Audio) -> Audio:
    return audio._replace(samples=-audio.samples)


def _swap(audio: Audio) -> Audio:
    """Return audio with its first two channels swapped; mono as it is."""
    first, rest = audio.samples[:, :2], audio.samples[:, 2:]
    return audio._replace(samples=np.concatenate([first[:, ::-1], rest], axis=1))


def _crop(audio: Audio, seconds: float) -> Audio:
    return audio._replace(samples=audio.samples[round(seconds * audio.sample_rate) :])


def _pad(audio: Audio, seconds: float, where: str) -> Audio:
    frames = round(seconds * audio.sample_rate)
    ends = (frames, 0) if where == "before" else (0, frames)
    return audio._replace(samples=np.pad(audio.samples, (ends, (0, 0))))


def _noise(audio: Audio, snr_db: float) -> Audio:
    """Return audio with white noise; samples, not names, decide the seed."""
    content = zlib.crc32(np.ascontiguousarray(audio.samples).data)
    rng = np.random.default_rng([NOISE_SEED, content])
    power = np.square(audio.samples, dtype=np.float64).mean() / 10 ** (snr_db / 10)
    noise = rng.standard_normal(audio.samples.shape, dtype=np.float32)
    return audio._replace(samples=audio.samples + _scaled(noise, float(np.sqrt(power))))


def _tempo(audio: Audio, factor: float) -> Audio:
    """Return audio whose tempo is higher by a factor, at the same pitch."""
    from audiomentations import TimeStretch  # an extra

    check_channels(audio)
    stretch = TimeStretch(leave_length_unchanged=False, p=1.0)
    stretch.parameters = {"should_apply": True, "rate": factor}  # nothing is drawn
    writeable = audio.samples.T.copy(order="C")  # which the library insists on
    samples = stretch.apply(writeable, audio.sample_rate)
    return audio._replace(samples=np.ascontiguousarray(samples.T))


def _pitch(audio: Audio, factor: float) -> Audio:
    """Return audio whose pitch is higher by a factor, at the same tempo."""
    longer = _tempo(audio, 1 / factor)
    samples = soxr.resample(longer.samples, factor, 1.0, quality=QUALITY)
    return audio._replace(samples=samples)


def _scaled(samples: np.ndarray, factor: float) -> np.ndarray:
    return samples * np.float32(factor)


ORIGINAL = Variant("original", "original", "original", _unchanged)
VARIANTS = (
    *(
        Variant(f"gain {db:+d} dB", "gain", "level", partial(_gain, db=db))
        for db in (-12, -6, -3, 3, 6)
    ),
    *(
        Variant(f"clipped at {db:+d} dB", "clipping", "level", partial(_clip, db=db))
        for db in (6, 12)
    ),
    *(
        Variant(f"loudness {lufs} LUFS", "loudness", "level", partial(_loudness, lufs=lufs))
        for lufs in (-14, -23)
    ),
    *(
        Variant(f"MP3 {kbps} kbit/s", "mp3", "codec", partial(mp3, kbps=kbps))
        for kbps in (64, 128, 320)
    ),
    Variant("Ogg Vorbis", "vorbis", "codec", vorbis),
    Variant("Opus", "opus", "codec", opus),
    Variant(f"AAC {AAC_KBPS} kbit/s", "aac", "codec", partial(aac, kbps=AAC_KBPS), "av"),
    *(
        Variant(f"resampled to {khz:g} kHz", "resampling", "rate", partial(_resample, khz=khz))
        for khz in (16, 22.05, 32, 48)
    ),
    *(
        Variant(f"low-pass {khz} kHz", "low-pass", "filter", partial(_low_pass, khz=khz))
        for khz in (4, 8, 12)
    ),
    Variant("mono", "channels", "channels", _mono),
    Variant("polarity inverted", "channels", "channels", _invert),
    Variant("channels swapped", "channels", "channels", _swap),
    *(
        Variant(f"without first {seconds:g} s", "crop", "time", partial(_crop, seconds=seconds))
        for seconds in (0.1, 0.5, 1, 2, 5)
    ),
    *(
        Variant(
            f"{seconds} s of silence {where}",
            "silence",
            "time",
            partial(_pad, seconds=seconds, where=where),
        )
        for seconds in (1, 5)
        for where in ("before", "after")
    ),
    *(
        Variant(f"noise at {db} dB SNR", "noise", "noise", partial(_noise, snr_db=db))
        for db in (50, 40, 30)
    ),
    *(
        Variant(f"{what} {x:+.0%}", what, "pitch, tempo", partial(function, factor=1 + x), STRETCH)
        for what, function in (("pitch", _pitch), ("tempo", _tempo))
        for x in (-0.01, 0.01)
    ),
    Variant("repeat", "repeat", "control", _unchanged),
)
GROUPS = tuple(dict.fromkeys(variant.group for variant in VARIANTS))


def choose_variants(groups: Iterable[str] | None = None) -> tuple[Variant, ...]:
    """Return the variants of some groups, by default all, in the order of the table.

    Raises:
        InputError: If a group is unknown; lists them.
    """
    wanted = set(GROUPS if groups is None else groups)
    if unknown := sorted(wanted - set(GROUPS)):
        raise InputError(f"unknown variants {', '.join(unknown)}; known: {', '.join(GROUPS)}")
    return tuple(variant for variant in VARIANTS if variant.group in wanted)
