"""Baseline of five plain audio descriptors, compared with trained heads.

    python scripts/descriptor_baseline.py SONGS PREPARED [RUN ...]

Ridge regression on level (RMS), spectral centroid, zero crossings, duration and tempo, fitted on
the training and valid songs, measured on the test songs. A head that is no better than this has
learnt how a song was made, not how good it is.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.signal import stft
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.metrics.correlation import lcc
from hear_aesthetics.spec import SAMPLE_RATE
from songeval_task.data.prepared import read_prepared
from songeval_task.dimensions import DIMENSIONS
from songeval_task.reports.read_predictions import read_predictions

WINDOW, HOP = 1024, 512
BPM = (60.0, 180.0)
PENALTIES = np.logspace(-1, 4, 11)


def descriptors(path: Path) -> list[float]:
    """Return log power, centroid in Hz, share of zero crossings, seconds, beats per minute."""
    waveform = load_audio(path)
    hertz, _, spectrum = stft(waveform, SAMPLE_RATE, nperseg=WINDOW, noverlap=WINDOW - HOP)
    magnitude = np.abs(spectrum)
    centroid = (hertz @ magnitude / (magnitude.sum(axis=0) + 1e-9)).mean()
    level = np.log(np.mean(np.square(waveform)) + 1e-12)
    crossings = np.mean(np.diff(np.signbit(waveform)))
    return [level, centroid, crossings, len(waveform) / SAMPLE_RATE, _tempo(magnitude)]


def _tempo(magnitude: np.ndarray) -> float:
    """Return the tempo: the period at which the spectral flux repeats best."""
    flux = np.maximum(np.diff(np.log1p(100 * magnitude), axis=1), 0).sum(axis=0)
    flux -= flux.mean()
    power = np.abs(np.fft.rfft(flux, 2 * len(flux))) ** 2
    repetition = np.fft.irfft(power)[: len(flux)]
    rate = SAMPLE_RATE / HOP
    lags = np.arange(int(rate * 60 / BPM[1]), int(rate * 60 / BPM[0]) + 1)
    return float(60 * rate / lags[repetition[lags].argmax()])


def main(songs: str, prepared: str, *runs: str) -> None:
    """Print a line of LCC per dimension for the ridge and for each run."""
    table = read_prepared(prepared).songs
    sound = np.array([descriptors(Path(songs) / song.name) for song in table])
    labels = np.array([song.labels for song in table])
    test = np.array([song.split == "test" for song in table])
    ridge = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(sound[~test], labels[~test])
    lines = {"ridge": lcc(ridge.predict(sound[test]), labels[test])}
    for run in runs:
        found = read_predictions(Path(run), None).predictions
        lines[run] = lcc(found.preds, found.target)
    sys.stdout.write(
        " ".join(["LCC", *(dimension.name for dimension in DIMENSIONS), "mean"]) + "\n"
    )
    for name, values in lines.items():
        cells = " ".join(f"{value:.3f}" for value in [*values, values.mean()])
        sys.stdout.write(f"{name} {cells}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
