"""The eight audio augmentations of the paper (HEAR, Table 1), seeded per song and copy.

They act on the 24 kHz waveform in the released order. The transforms are audiomentations'; it draws
from Python's and numpy's global generators, so both are seeded for the moment of a draw and put
back as they were: a copy depends on its seed alone, and nobody else's draws depend on it. What
takes time, applying the values drawn, needs no generator. Pitch and stretch hold the interpreter
while they work, so many copies are best made in several processes.

A low-pass whose cut-off lies at or above half the sample rate, which at 24 kHz is every one of
the paper's 15-18 kHz, does nothing. It is recorded as drawn, with ``"no_op": true``.
"""

import hashlib
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.spec import SAMPLE_RATE

if TYPE_CHECKING:
    from audiomentations.core.transforms_interface import BaseTransform

from hear_aesthetics.errors import InputError

__all__ = ["COPIES", "ORIGINAL", "PROTOCOLS", "augment", "augmentation_ids", "load_version"]

ORIGINAL = "original"
COPIES = 3  # per song, as released
# "all": the original and every copy. "published": what training on the released lists saw, which
# is the last copy of each song alone (its script reported only that one), never the original; its
# stretched copies are cut or padded to the song's length, and its shifted ones wrap around.
PROTOCOLS = ("all", "published")
COPY, RELEASED = "copy", "published"  # begin the names of copies of either protocol
DRAW_WHEN_APPLIED = {"gaussian_noise"}  # the samples themselves

_global_generators = threading.Lock()


def augmentation_ids(copies: int = COPIES, protocol: str = "all") -> list[str]:
    """Names of a song's versions: ``original``, ``copy1``, ``copy2`` ..., or ``published3``.

    Raises:
        ValueError: If the protocol is unknown or takes copies that are not made.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol is {protocol!r}; it takes {' or '.join(PROTOCOLS)}")
    if protocol == "all":
        return [ORIGINAL, *(f"{COPY}{number}" for number in range(1, copies + 1))]
    if not copies:
        raise InputError("the published protocol trains on the last copy; make at least one")
    return [f"{RELEASED}{copies}"]


def augment(
    waveform: np.ndarray, *, name: str, version: str, seed: int
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """One augmented copy of a song and what was done to it.

    Args:
        waveform: Mono audio at 24 kHz, float32.
        name: The song's id.
        version: The copy's name, which says by which protocol it is made; ``"original"`` is
            returned as it is.
        seed: Of the run; together with ``name`` and ``version`` it decides every draw.

    Returns:
        The copy, ``(samples,)`` float32, whose length differs where time was stretched, and one
        record per applied transform, in order: its name and the values drawn.
    """
    if version == ORIGINAL:
        return waveform, []
    records = []
    for label, make in _TRANSFORMS.items():
        transform = make(version.startswith(RELEASED))
        key = f"{seed}/{name}/{version}/{label}"
        with _seeded(key):
            transform.randomize_parameters(waveform, SAMPLE_RATE)
        if not transform.parameters["should_apply"]:
            continue
        record = {"transform": label, **_values(transform)}
        if record.get("cutoff_freq", 0) >= SAMPLE_RATE / 2:
            record["no_op"] = True
        else:
            with _seeded(key) if label in DRAW_WHEN_APPLIED else nullcontext():
                waveform = transform.apply(waveform, SAMPLE_RATE)
        records.append(record)
    return np.ascontiguousarray(waveform, dtype=np.float32), records


def load_version(
    path: Path, *, name: str, version: str, seed: int
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """A version of a song from its audio file, and what was done to it; see :func:`augment`.

    Raises:
        AudioError: If the file cannot be read.
    """
    return augment(load_audio(path), name=name, version=version, seed=seed)


def _gain(released: bool) -> "BaseTransform":
    from audiomentations import Gain

    return Gain(min_gain_db=-2.0, max_gain_db=2.0, p=0.9)


def _noise(released: bool) -> "BaseTransform":
    from audiomentations import AddGaussianSNR

    return AddGaussianSNR(min_snr_db=30.0, max_snr_db=50.0, p=0.25)


def _pitch(released: bool) -> "BaseTransform":
    from audiomentations import PitchShift

    return PitchShift(min_semitones=-0.1, max_semitones=0.1, p=0.5)


def _stretch(released: bool) -> "BaseTransform":
    from audiomentations import TimeStretch

    return TimeStretch(min_rate=0.99, max_rate=1.01, leave_length_unchanged=released, p=0.4)


def _shift(released: bool) -> "BaseTransform":
    from audiomentations import Shift

    return Shift(min_shift=-0.5, max_shift=0.5, shift_unit="seconds", rollover=released, p=0.4)


def _high_pass(released: bool) -> "BaseTransform":
    from audiomentations import HighPassFilter

    return HighPassFilter(min_cutoff_freq=80.0, max_cutoff_freq=120.0, p=0.3)


def _low_pass(released: bool) -> "BaseTransform":
    from audiomentations import LowPassFilter

    return LowPassFilter(min_cutoff_freq=15_000.0, max_cutoff_freq=18_000.0, p=0.3)


def _equaliser(released: bool) -> "BaseTransform":
    from audiomentations import SevenBandParametricEQ

    return SevenBandParametricEQ(min_gain_db=-3.0, max_gain_db=3.0, p=0.3)


# In the released order; each takes whether to do as the released code does. Imported when first
# used, because audiomentations is an extra.
_TRANSFORMS: dict[str, Callable[[bool], "BaseTransform"]] = {
    "gain": _gain,
    "gaussian_noise": _noise,
    "pitch_shift": _pitch,
    "time_stretch": _stretch,
    "time_shift": _shift,
    "high_pass": _high_pass,
    "low_pass": _low_pass,
    "seven_band_eq": _equaliser,
}


def _values(transform: "BaseTransform") -> dict[str, Any]:
    """The values drawn; an equaliser's bands are lists under the bands' names."""
    values = {key: value for key, value in transform.parameters.items() if key != "should_apply"}
    for name, part in vars(transform).items():
        bands = part if isinstance(part, list) else [part]
        if all(hasattr(band, "parameters") for band in bands):
            values[name] = [_values(band) for band in bands]
    return values


@contextmanager
def _seeded(text: str) -> Iterator[None]:
    """Both global generators seeded by ``text``, and put back afterwards."""
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
