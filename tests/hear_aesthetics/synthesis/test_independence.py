"""Level, brightness, duration and tempo must tell nothing about the qualities; the music must."""

from collections import Counter

import numpy as np
import pytest
from scipy.signal import stft

from hear_aesthetics.synthesis import QUALITIES, Composition, compose, render, sample_qualities

SONGS = 60
FOLDS = 10


def _nuisances(song: Composition, waveform: np.ndarray) -> list[float]:
    """RMS, centroid and crossings (not measured as the equalizer does), length, tempo."""
    hertz, _, spectrum = stft(waveform, 24_000, nperseg=1024, noverlap=512)
    magnitude = np.abs(spectrum)
    centroid = (hertz @ magnitude / (magnitude.sum(axis=0) + 1e-9)).mean()
    crossings = np.mean(np.diff(np.signbit(waveform)))
    bpm = len(song.chords) * song.beats_per_bar / song.chords[-1].end
    return [np.log(np.mean(waveform**2)), centroid, crossings, song.seconds, bpm]


def _population(shortest: float, longest: float) -> tuple[list[Composition], np.ndarray]:
    """Returns songs with sampled qualities, and the qualities."""
    rng = np.random.default_rng(2)
    songs = [
        compose(100 + index, float(rng.uniform(shortest, longest)), sample_qualities(rng))
        for index in range(SONGS)
    ]
    return songs, np.array([song.qualities.as_array() for song in songs])


@pytest.fixture(scope="module")
def full_length() -> tuple[list[Composition], np.ndarray]:
    return _population(60.0, 120.0)


def _held_out_ridge(features: np.ndarray, target: np.ndarray) -> float:
    """LCC of predictions that never saw the song they predict."""
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    predicted = np.zeros(len(target))
    for fold in range(FOLDS):
        test = np.arange(len(target)) % FOLDS == fold
        x, y = scaled[~test], target[~test]
        weights = np.linalg.solve(x.T @ x + len(x) * np.eye(x.shape[1]), x.T @ (y - y.mean()))
        predicted[test] = scaled[test] @ weights + y.mean()
    return float(np.corrcoef(predicted, target)[0, 1])


@pytest.mark.slow
def test_level_brightness_length_and_tempo_say_nothing_about_any_quality() -> None:
    songs, labels = _population(10.0, 20.0)  # short: they are rendered
    nuisances = np.array([_nuisances(song, render(song)) for song in songs])
    for index, quality in enumerate(QUALITIES):
        correlations = [np.corrcoef(column, labels[:, index])[0, 1] for column in nuisances.T]
        assert np.abs(correlations).max() < 0.3, (quality, correlations)
        assert _held_out_ridge(nuisances, labels[:, index]) < 0.3, quality


def _coherence(song: Composition) -> float:
    return -float(len(song.keys) + len(song.tempi)) / len(song.chords)


def _musicality(song: Composition) -> float:
    """Shares of the chords and of the lead's notes that belong to the key of the moment."""
    ends = np.array([span.end for span in song.keys])

    def key_at(time: float) -> frozenset[int]:
        return song.keys[min(int(np.searchsorted(ends, time)), len(ends) - 1)].value.pitch_classes

    chords = [set(c.value) <= key_at(c.start + 0.1) for c in song.chords]
    notes = [round(n.pitch) % 12 in key_at(n.onset + 0.1) for n in song.layer("lead")]
    return float(np.mean(chords) + np.mean(notes))


def _memorability(song: Composition) -> float:
    """Share of the lead's figures of three syllables that occur more than once."""
    sung = [note.syllable for note in song.layer("lead")]
    figures = Counter(zip(sung, sung[1:], sung[2:], strict=False))
    return sum(n for n in figures.values() if n > 1) / figures.total()


def _clarity(song: Composition) -> float:
    """How far apart the registers of the accompanying layers lie, in semitones."""
    layers = [song.layer(name) for name in ("bass", "chords", "pad", "arpeggio")]
    return float(np.std([np.mean([n.pitch for n in layer]) for layer in layers if layer]))


def _naturalness(song: Composition) -> float:
    """Share of the time in which the lead rests."""
    return -sum(note.seconds for note in song.layer("lead")) / song.seconds


MEASURES = (_coherence, _musicality, _memorability, _clarity, _naturalness)


@pytest.mark.parametrize(("index", "measure"), list(enumerate(MEASURES)), ids=QUALITIES)
def test_each_quality_is_in_the_music_more_than_any_other(full_length, index, measure) -> None:
    songs, labels = full_length
    measured = np.array([measure(song) for song in songs])
    correlations = [np.corrcoef(measured, label)[0, 1] for label in labels.T]
    assert correlations[index] > 0.65, correlations
    assert np.argmax(correlations) == index, correlations
