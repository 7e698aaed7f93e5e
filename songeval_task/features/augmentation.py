"""The eight audio augmentations of the paper (HEAR, Table 1), seeded per song and version.

They act on the 24 kHz waveform in the released order, and the result is what the released 24-bit
WAV file of it holds: clipped, in steps of 2^-23. The transforms are audiomentations'; it draws from
Python's and numpy's global generators, so both are seeded for the moment of a draw and put back as
they were: a version depends on its seed alone, and nobody else's draws depend on it. What takes
time, applying the values drawn, needs no generator. Pitch and stretch hold the interpreter while
they work, so many versions are best made in several processes.

A low-pass whose cut-off lies at or above half the sample rate, which at 24 kHz is every one of
the paper's 15-18 kHz, does nothing. It is recorded as drawn, with ``"no_op": true``. As released it
is moved just below half the rate, where it changes music by about -75 dB.
"""

import hashlib
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.corpus.stored import AnyPath
from hear_aesthetics.errors import InputError
from hear_aesthetics.spec import SAMPLE_RATE

if TYPE_CHECKING:
    from audiomentations.core.transforms_interface import BaseTransform

__all__ = [
    *("AUGMENTATIONS", "AUGMENTED", "ORIGINAL", "VERSIONS"),
    *("augment", "current_name", "earlier_name", "load_version", "version_names"),
]

ORIGINAL = "original"
AUGMENTATIONS = 3  # per song, as released
# "all": the original and every augmented version. "published": what training on the released lists
# saw, which is the last version of each song alone (its script reported only that one), never the
# original; its stretched versions are cut or padded to the song's length, its shifted ones wrap
# around, and its low-pass acts.
VERSIONS = ("all", "published")
AUGMENTED, RELEASED = "aug", "published"  # begin the names of augmented versions
EARLIER = "copy"  # what "aug" was before, on disk and in the seeds of all draws

# In the released order: class of audiomentations, probability, the value drawn and its range.
TRANSFORMS = {
    "gain": ("Gain", 0.9, "gain_db", -2.0, 2.0),
    "gaussian_noise": ("AddGaussianSNR", 0.25, "snr_db", 30.0, 50.0),
    "pitch_shift": ("PitchShift", 0.5, "semitones", -0.1, 0.1),
    "time_stretch": ("TimeStretch", 0.4, "rate", 0.99, 1.01),
    "time_shift": ("Shift", 0.4, "shift", -0.5, 0.5),
    "high_pass": ("HighPassFilter", 0.3, "cutoff_freq", 80.0, 120.0),
    "low_pass": ("LowPassFilter", 0.3, "cutoff_freq", 15_000.0, 18_000.0),
    "seven_band_eq": ("SevenBandParametricEQ", 0.3, "gain_db", -3.0, 3.0),
}
OPTIONS = {"time_shift": {"shift_unit": "seconds"}}
AS_RELEASED = {"time_stretch": "leave_length_unchanged", "time_shift": "rollover"}  # on as released
DRAWN_WHEN_APPLIED = {"gaussian_noise"}  # the samples themselves

_global_generators = threading.Lock()


def version_names(augmentations: int = AUGMENTATIONS, versions: str = "all") -> list[str]:
    """Return the names of a song's versions: ``original``, ``aug1``, ``aug2``; or ``published3``.

    Raises:
        InputError: If ``versions`` is unknown, or takes an augmented version of none.
    """
    if versions not in VERSIONS:
        raise InputError(f"versions is {versions!r}; it takes {' or '.join(VERSIONS)}")
    if versions == "all":
        return [ORIGINAL, *(f"{AUGMENTED}{number}" for number in range(1, augmentations + 1))]
    if not augmentations:
        raise InputError("the published training takes the last augmentation; make at least one")
    return [f"{RELEASED}{augmentations}"]


def current_name(version: str) -> str:
    """Return ``aug1`` for the ``copy1`` of files of earlier versions."""
    return version.replace(EARLIER, AUGMENTED)


def earlier_name(version: str) -> str:
    """Return what earlier versions called this one."""
    return version.replace(AUGMENTED, EARLIER)


def augment(
    waveform: np.ndarray, *, name: str, version: str, seed: int
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Return an augmented version of a song and what was done to it.

    Args:
        waveform: Mono audio at 24 kHz, float32.
        name: The song's id.
        version: Its name, which says whether it is made as the released code does; ``"original"``
            is returned as it is.
        seed: Of the run; together with ``name`` and ``version`` it decides every draw.

    Returns:
        The version, ``(samples,)`` float32, whose length differs where time was stretched, and one
        record per applied transform, in order: its name and the values drawn. A last record
        ``clip`` counts the samples that the file could not hold, if there are any.
    """
    if version == ORIGINAL:
        return waveform, []
    import audiomentations  # an extra

    records = []
    for label, (kind, probability, value, low, high) in TRANSFORMS.items():
        options: dict[str, Any] = {f"min_{value}": low, f"max_{value}": high, "p": probability}
        options |= OPTIONS.get(label, {})
        if label in AS_RELEASED:
            options[AS_RELEASED[label]] = version.startswith(RELEASED)
        transform = getattr(audiomentations, kind)(**options)
        key = f"{seed}/{name}/{earlier_name(version)}/{label}"
        with _seeded(key):
            transform.randomize_parameters(waveform, SAMPLE_RATE)
        if not transform.parameters["should_apply"]:
            continue
        record = {"transform": label, **_values(transform)}
        if record.get("cutoff_freq", 0) >= SAMPLE_RATE / 2 and not version.startswith(RELEASED):
            record["no_op"] = True
        else:
            with _seeded(key) if label in DRAWN_WHEN_APPLIED else nullcontext():
                waveform = transform.apply(waveform, SAMPLE_RATE)
        records.append(record)
    if clipped := int((np.abs(waveform) > 1).sum()):
        records.append({"transform": "clip", "samples": clipped})
    return _as_file(waveform), records


def load_version(
    path: AnyPath, *, name: str, version: str, seed: int
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Load a song and return :func:`augment` of it.

    Raises:
        AudioError: If the file cannot be read.
    """
    return augment(load_audio(path), name=name, version=version, seed=seed)


def _as_file(waveform: np.ndarray) -> np.ndarray:
    """Return what a 24-bit WAV file of a waveform holds, float32."""
    file = BytesIO()
    soundfile.write(file, waveform, SAMPLE_RATE, subtype="PCM_24", format="WAV")
    file.seek(0)
    samples: np.ndarray = soundfile.read(file, dtype="float32")[0]
    return samples


def _values(transform: "BaseTransform") -> dict[str, Any]:
    """Return the values drawn; an equalizer's bands are lists under the bands' names."""
    values = {key: value for key, value in transform.parameters.items() if key != "should_apply"}
    for name, part in vars(transform).items():
        bands = part if isinstance(part, list) else [part]
        if all(hasattr(band, "parameters") for band in bands):
            values[name] = [_values(band) for band in bands]
    return values


@contextmanager
def _seeded(text: str) -> Iterator[None]:
    """Seed both global generators by ``text``, and put them back afterwards."""
    digest = hashlib.sha256(text.encode()).digest()
    with _global_generators:
        kept = random.getstate(), np.random.get_state()  # noqa: NPY002
        random.seed(digest)
        np.random.seed(int.from_bytes(digest[:4]))  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(kept[0])
            np.random.set_state(kept[1])  # noqa: NPY002
