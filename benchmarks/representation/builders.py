"""Rows of the tasks that are built from Debian packages: name, label, group and waveform."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hear_aesthetics.audio.loading import audio_info, load_audio, resample
from hear_aesthetics.errors import DataUnavailableError

__all__ = ["RATE", "SOURCES", "Row"]

RATE = 48_000  # Hz, of the tasks
BAND_RATE = 16_000  # Hz; below half of it every encoder of the composers' pieces is transparent
SILENCE = 1e-4  # RMS below which a preset has no sound at a pitch
LEVELS = (0.05, 0.5)  # peaks of clips that get a level of their own
EQUALISER_DB, EQUALISER_WAVES = 6.0, 3

Settings = Mapping[str, Any]


class Row(NamedTuple):
    """One clip of a task; the waveform is mono float32 at 48 kHz."""

    name: str
    label: str
    group: str
    wave: np.ndarray


def drums(settings: Settings, packages: Sequence[Path]) -> Iterator[Row]:
    """Yield one-shots of drum kits; a recording that two kits hold counts once."""
    kits = sorted(path for p in packages for path in p.rglob("drumkit.xml"))
    seen: set[str] = set()
    for kit in kits:
        for name, files in _instruments(kit):
            label = _first_match(settings["classes"], name.casefold())
            paths = [kit.parent / file for file in files]
            for path in filter(Path.is_file, paths if label else []):
                wave = _onset(load_audio(path, RATE, min_samples=1), settings)
                digest = sha256((wave * 32767).astype(np.int16).tobytes()).hexdigest()
                if wave.any() and digest not in seen:
                    seen.add(digest)
                    yield Row(f"{kit.parent.name}-{path.stem}", label, kit.parent.name, wave)


def letters(settings: Settings, packages: Sequence[Path]) -> Iterator[Row]:
    """Yield the spoken letters a to z of languages in Latin letters."""
    (folder,) = (path.parent for p in packages for path in p.rglob("klettres/en"))
    for languages in settings["languages"]:
        for language in languages:
            text = (folder / language / "sounds.xml").read_text(encoding="utf-8")
            alphabet = text.partition("<alphabet>")[2].partition("</alphabet>")[0]
            for letter, file in re.findall(r'name="([A-Za-z])" +file="([^"]+)"', alphabet):
                if (folder / file).is_file():
                    wave = _onset(load_audio(folder / file, RATE), settings)
                    label = letter.lower()
                    yield Row(f"{language}-{label}", label, languages[0], wave)


def soundfont(settings: Settings, packages: Sequence[Path]) -> Iterator[Row]:
    """Yield single notes of General MIDI programs; the label is the pitch or the family."""
    import tinysoundfont

    (file,) = (path for p in packages for path in p.rglob("*.sf2") if not path.is_symlink())
    rng = np.random.default_rng(settings["seed"])
    samples = round(settings["seconds"] * RATE)
    for program in range(settings["programs"]):
        pitches = rng.choice(np.arange(*settings["pitches"]), settings["notes"], replace=False)
        for pitch, velocity in zip(pitches, rng.integers(60, 120, len(pitches)), strict=True):
            synth = tinysoundfont.Synth(samplerate=RATE)
            synth.program_select(0, synth.sfload(str(file)), 0, program)
            synth.noteon(0, int(pitch), int(velocity))
            sound = np.frombuffer(synth.generate(samples), np.float32).reshape(-1, 2).mean(1)
            if np.sqrt(np.mean(sound**2)) > SILENCE:
                label = str(pitch) if settings["label"] == "pitch" else f"family {program // 8:02}"
                yield Row(f"{program:03}-{pitch}", label, f"{program:03}", _peak(sound))


def composers(settings: Settings, packages: Sequence[Path]) -> Iterator[Row]:
    """Yield excerpts of a soundtrack, evenly spaced; the label is the composer."""
    rng, seconds = np.random.default_rng(settings["seed"]), settings["seconds"]
    for composer, tracks in settings["tracks"].items():
        for track in tracks:
            path = next((path for p in packages for path in p.rglob(f"{track}.ogg")), None)
            if path is None:
                raise DataUnavailableError(f"{track}.ogg is in none of {settings['packages']}")
            info = audio_info(path)
            last = info.frames / info.sample_rate - seconds
            for i, start in enumerate(np.linspace(0, last, settings["per_track"] + 2)[1:-1]):
                wave = load_audio(path, BAND_RATE, start=start, end=start + seconds)
                yield Row(
                    f"{track}-{i}", composer, track, disguise(resample(wave, BAND_RATE, RATE), rng)
                )


def prompts(settings: Settings, packages: Sequence[Path]) -> Iterator[Row]:
    """Yield spoken prompts of all languages; the label is the voice with its language."""
    rng, voices = np.random.default_rng(settings["seed"]), {}
    for package in packages:
        (folder,) = (path for path in package.glob("usr/share/asterisk/sounds/*") if path.is_dir())
        voices[folder.name] = folder
    common = set.intersection(*(
        {str(path.relative_to(folder)) for path in folder.rglob("*.wav")}
        for folder in voices.values()
    ))  # fmt: skip
    spoken = sorted(name for name in common if not re.search("silence|tone|beep", name))
    for name in rng.permutation(spoken)[: settings["clips"] // len(voices)].tolist():
        for voice, folder in voices.items():
            wave = disguise(_onset(load_audio(folder / name, RATE), settings), rng)
            yield Row(f"{voice}-{name.replace('/', '-')[:-4]}", voice, name, wave)


def disguise(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a clip through an equaliser and at a level of its own, both drawn.

    The gain over log-frequency is a sum of cosines, within 6 dB.
    """
    spectrum = np.fft.rfft(wave)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(wave), 1 / RATE), 50) / 50)
    waves = np.arange(1, EQUALISER_WAVES + 1)[:, None]
    shape = np.cos(np.pi * waves * octaves / octaves[-1] + rng.uniform(0, 2 * np.pi, waves.shape))
    gain = EQUALISER_DB * rng.dirichlet(np.ones(EQUALISER_WAVES)) @ shape
    shaped = np.fft.irfft(spectrum * 10 ** (gain / 20), len(wave))
    return _peak(shaped, rng.uniform(*LEVELS))


SOURCES: Mapping[str, Callable[[Settings, Sequence[Path]], Iterator[Row]]] = {
    function.__name__: function for function in (drums, letters, soundfont, composers, prompts)
}


def _instruments(kit: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield names and sample files of a kit's instruments."""
    text = re.sub(r'\sxmlns="[^"]*"', "", kit.read_text(encoding="utf-8", errors="replace"))
    for instrument in ElementTree.fromstring(text).iter("instrument"):
        files = [found.text for found in instrument.iter("filename") if found.text]
        yield instrument.findtext("name") or "", files


def _first_match(classes: Sequence[Sequence[str]], name: str) -> str:
    return next((label for label, words in classes if re.search(words, name)), "")


def _onset(wave: np.ndarray, settings: Settings) -> np.ndarray:
    """Return a clip of the task's length from 50 ms before the sound begins, or from the start."""
    loud = np.flatnonzero(np.abs(wave) > 0.05 * np.abs(wave).max(initial=0))
    start = max(0, int(loud[0]) - RATE // 20) if len(loud) else 0
    samples = round(settings["seconds"] * RATE)
    wave = wave[start : start + samples]
    return _peak(np.pad(wave, (0, samples - len(wave))))


def _peak(wave: np.ndarray, peak: float = 0.5) -> np.ndarray:
    return (wave * (peak / max(float(np.abs(wave).max()), 1e-9))).astype(np.float32)
