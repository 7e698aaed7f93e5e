"""Clips on their way from a data set's rows to embeddings; that mteb itself takes them is judged
in ``tests/judges``."""

import io
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf
import torch

from hear_aesthetics.adapters.mteb import Clip, embed_clips, main, model_meta
from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.errors import AudioError, InputError
from hear_aesthetics.model import get_scene_embeddings, load_model

TOLERANCE = {"rtol": 0, "atol": 1e-5}


def samples(seconds, seed=0, rate=48_000, channels=1):
    """Noise and a tone, ``(channels, samples)``."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate)) / rate
    tone = 0.2 * np.sin(2 * np.pi * rng.uniform(100, 2000) * times)
    return (tone + 0.05 * rng.standard_normal((channels, times.size))).astype(np.float32)


def encoded(audio, rate, file_format="wav"):
    """The bytes of an audio file."""
    file = io.BytesIO()
    sf.write(file, audio.T, rate, format=file_format)
    return file.getvalue()


@pytest.fixture(scope="module")
def model():
    return load_model(precision="float32", device="cpu")


def of_arrays(*arrays, rate=48_000):
    return [Clip(f"row {n}", {"array": a, "sampling_rate": rate}) for n, a in enumerate(arrays)]


def test_mixed_lengths_give_what_each_clip_gives_alone(model):
    """Protects the promise that no embedding depends on the clips beside it."""
    lengths = [0.5, 1.0, 0.5, 0.013, 0.7, 1.0, 0.5, 1.3]
    arrays = [samples(seconds, seed)[0] for seed, seconds in enumerate(lengths)]
    together = np.stack(list(embed_clips(model, of_arrays(*arrays))))
    alone = np.stack([next(embed_clips(model, of_arrays(array))) for array in arrays])
    assert together.dtype == np.float32
    assert together.shape == (len(arrays), model.scene_embedding_size)
    np.testing.assert_allclose(together, alone, **TOLERANCE)
    assert np.abs(together[0] - together[2]).max() > 0.01, "equal whatever the clip"


def test_a_file_of_a_data_set_gives_what_the_file_gives(model, tmp_path):
    """Protects against a decoder or resampler of its own, which would measure another model."""
    content = encoded(samples(0.6, rate=44_100, channels=2), 44_100, "flac")
    path = tmp_path / "clip.flac"
    path.write_bytes(content)
    audio = torch.from_numpy(load_audio(path, 48_000))[None]
    expected = get_scene_embeddings(audio, model)[0].numpy()
    rows = [{"bytes": content, "path": "a.flac"}, {"bytes": None, "path": str(path)}]
    rows.append({"bytes": None, "path": f"file://{path}"})
    for embedding in embed_clips(model, [Clip("row", row) for row in rows]):
        np.testing.assert_allclose(embedding, expected, **TOLERANCE)


def test_decoded_audio_gives_what_its_file_gives(model):
    """Protects the rows of data sets that hold arrays, of either number of channels."""
    stereo = samples(0.6, rate=16_000, channels=2)
    file = {"bytes": encoded(stereo, 16_000), "path": None}
    clips = of_arrays(stereo, stereo.mean(axis=0), rate=16_000)
    from_file, *others = embed_clips(model, [Clip("file", file), *clips])
    for other in others:
        np.testing.assert_allclose(other, from_file, rtol=0, atol=1e-2)  # wav rounds to 16 bits


def test_the_rate_of_the_data_set_is_kept_to(model):
    """Protects tasks that ask for 8 kHz from an answer with more of the spectrum than theirs."""
    audio = {"bytes": encoded(samples(0.6), 48_000), "path": None}
    full, narrow = embed_clips(model, [Clip("full", audio), Clip("narrow", audio, rate=8_000)])
    assert np.abs(full - narrow).max() > 0.1


@pytest.mark.slow
def test_a_clip_longer_than_the_track_limit_is_embedded():
    """Protects against a benchmark that ends at its longest recording."""
    model = load_model(precision="float32", device="cpu", track_limit_seconds=5)
    (embedding,) = embed_clips(model, of_arrays(samples(12.0)[0]))
    assert np.isfinite(embedding).all()


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        ({"array": np.zeros(0), "sampling_rate": 8_000}, "row 3 of GTZAN: no samples"),
        ({"array": np.full(9_000, np.nan), "sampling_rate": 8_000}, "NaN or infinity"),
        ({"bytes": b"<html>", "path": "a.wav"}, "row 3 of GTZAN a.wav: "),
        ({"bytes": None, "path": "/nowhere/a.wav"}, "no such file"),
    ],
)
def test_a_clip_that_cannot_be_decoded_ends_the_task(model, audio, message):
    """Protects against scores over the clips that happened to work."""
    clips = [*of_arrays(samples(0.3)[0]), Clip("row 3 of GTZAN", audio)]
    with pytest.raises(AudioError, match=message):
        list(embed_clips(model, clips))


def test_without_mteb_one_line_names_the_extra(monkeypatch, capsys):
    """Protects users without mteb from a traceback, and the import from needing it."""
    monkeypatch.setitem(sys.modules, "mteb", None)
    with pytest.raises(InputError, match=r'pip install "hear-aesthetics\[mteb\]"$'):
        model_meta("mini")
    with pytest.raises(SystemExit) as exit_:
        main(["--tasks", "GTZANGenre"])
    assert exit_.value.code == 2
    assert 'pip install "hear-aesthetics[mteb]"' in capsys.readouterr().err


def test_the_module_imports_no_mteb():
    """Protects everyone else from the adapter's dependency."""
    code = "import hear_aesthetics.adapters.mteb, sys; assert 'mteb' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
