"""Speech with the times of its phonemes, by espeak-ng through ctypes.

espeak-ng crashes now and then and keeps a state from one text to the next, so that :func:`speak`
runs it in a process of its own, whose end by a signal is an error that the caller may answer with
another seed.
"""

import ctypes
import multiprocessing
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hear_aesthetics.errors import DataUnavailableError, HearAestheticsError

__all__ = ["Phoneme", "SpeechCrashError", "Utterance", "speak"]

SYNCHRONOUS, PHONEME_EVENTS, IPA, DONT_EXIT = 2, 1, 2, 0x8000
UTF8, PHONEME, RATE, PITCH = 1, 7, 1, 3


class SpeechCrashError(HearAestheticsError):
    """End of the process of espeak-ng before it had spoken everything."""


class Utterance(NamedTuple):
    """Text to speak: voice such as ``de+f2``, words per minute, pitch 0 to 99."""

    text: str
    voice: str
    rate: int = 170
    pitch: int = 50


class Phoneme(NamedTuple):
    """Phoneme in IPA without stress, empty for a pause, and its start in seconds."""

    name: str
    start: float


def speak(
    utterances: Sequence[Utterance], seed: int
) -> tuple[int, list[tuple[np.ndarray, list[Phoneme]]]]:
    """Return the sample rate, and samples and phonemes of every utterance.

    Args:
        utterances: Texts and their voices.
        seed: Random seed of what voices add to themselves.

    Shape:
        - samples: ``(n,)`` float32 in [-1, 1]

    Raises:
        DataUnavailableError: If espeakng-loader is not installed.
        SpeechCrashError: If espeak-ng crashes or knows no such voice.
    """
    try:
        import espeakng_loader
    except ImportError as error:
        raise DataUnavailableError(
            "espeakng-loader is not installed; pip install espeakng-loader"
        ) from error
    library, data = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "speech.npz"
        process = multiprocessing.get_context("spawn").Process(
            target=_speak, args=(library, data, utterances, seed, out)
        )
        process.start()
        process.join()
        if process.exitcode:
            raise SpeechCrashError(f"espeak-ng ended with {process.exitcode}; take another seed")
        with np.load(out) as file:
            rate = int(file["rate"])
            spoken = [
                (
                    file[f"samples{i}"].astype(np.float32) / 32768,
                    [
                        Phoneme(str(name), int(sample) / rate)
                        for name, sample in zip(file[f"names{i}"], file[f"starts{i}"], strict=True)
                    ],
                )
                for i in range(len(utterances))
            ]
    return rate, spoken


class _Name(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("pointer", ctypes.c_void_p), ("text", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    )


def _speak(library: str, data: str, utterances: Sequence[Utterance], seed: int, out: Path) -> None:
    """Speak in this process, and write what came of it."""
    espeak = ctypes.CDLL(library)
    samples: list[np.ndarray] = []
    events: list[tuple[str, int]] = []

    def collect(wave: Any, count: int, event: Any) -> int:
        if wave and count > 0:
            samples.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while event[index].type:
            if event[index].type == PHONEME:
                name = event[index].id.text.decode(errors="ignore")
                events.append((name.strip("ˈˌ"), event[index].sample))
            index += 1
        return 0

    short = ctypes.POINTER(ctypes.c_short)
    callback = ctypes.CFUNCTYPE(ctypes.c_int, short, ctypes.c_int, ctypes.POINTER(_Event))(collect)
    flags = PHONEME_EVENTS | IPA | DONT_EXIT
    rate = espeak.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), flags)
    espeak.espeak_SetSynthCallback(callback)
    espeak.espeak_ng_SetRandSeed(ctypes.c_long(seed))
    arrays: dict[str, Any] = {"rate": rate}
    for number, utterance in enumerate(utterances):
        if espeak.espeak_SetVoiceByName(utterance.voice.encode()):
            raise SpeechCrashError(f"{utterance.voice}: no voice of espeak-ng")
        espeak.espeak_SetParameter(RATE, utterance.rate, 0)
        espeak.espeak_SetParameter(PITCH, utterance.pitch, 0)
        samples.clear()
        events.clear()
        text = utterance.text.encode()
        espeak.espeak_Synth(text, len(text) + 1, 0, 1, 0, UTF8, None, None)
        espeak.espeak_Synchronize()
        names, starts = zip(*events, strict=True) if events else ((), ())
        arrays[f"samples{number}"] = np.concatenate([np.zeros(0, np.int16), *samples])
        arrays[f"names{number}"] = np.array(names, dtype=str)
        arrays[f"starts{number}"] = np.array(starts, dtype=np.int64)
    np.savez(out, **arrays)
