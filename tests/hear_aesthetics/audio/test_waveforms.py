"""Formats of waveforms: their names, one decoding for several, and the same numbers as alone."""

import numpy as np
import pytest
import soundfile

from hear_aesthetics.audio import decoding
from hear_aesthetics.audio.loading import convert, load_audio, load_waveforms
from hear_aesthetics.audio.sinc import sinc_resample
from hear_aesthetics.audio.waveforms import ENCODER_FORMAT, WaveformFormat, Waveforms
from hear_aesthetics.errors import AudioError, InputError

SINC_16K = WaveformFormat(16_000, "sinc")


@pytest.fixture
def stereo(tmp_path):
    """Three seconds of two unlike channels at 44.1 kHz: file and samples."""
    samples = 0.1 * np.random.default_rng(0).standard_normal((3 * 44_100 + 5, 2)).astype("f4")
    soundfile.write(tmp_path / "a.wav", samples, 44_100, subtype="FLOAT")
    return tmp_path / "a.wav", samples


@pytest.mark.parametrize("name", ["waveform_24000", "waveform_16000_sinc", "waveform_768000"])
def test_names_are_read_as_they_are_written(name) -> None:
    assert str(WaveformFormat.parse(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        *("waveform", "waveform_", "waveform_999", "waveform_768001", "waveform_-16000"),
        *("waveform_16000_soxr", "waveform_016000", "waveform_1e4", "waveform_" + 40 * "9"),
    ],
)
def test_what_no_audio_has_is_refused_in_one_line(name) -> None:
    with pytest.raises(InputError, match="is no waveform; write one such as 'waveform_24000'") as e:
        WaveformFormat.parse(name)
    assert "from 1000 to 768000 Hz" in str(e.value)


def test_several_formats_cost_one_decoding(stereo, monkeypatch) -> None:
    path, samples = stereo
    opened = []
    real = decoding._open_file
    monkeypatch.setattr(decoding, "_open_file", lambda p: opened.append(p) or real(p))
    formats = ENCODER_FORMAT, SINC_16K, WaveformFormat(44_100)
    found = load_waveforms(path, formats)
    assert opened == [path]
    assert list(found.by_name) == [str(f) for f in formats]
    np.testing.assert_array_equal(found.by_name["waveform_24000"], load_audio(path))
    mono = samples.mean(axis=1)
    np.testing.assert_allclose(found.by_name["waveform_44100"], mono, rtol=0, atol=1e-7)
    np.testing.assert_allclose(
        found.by_name["waveform_16000_sinc"],
        sinc_resample(mono, 44_100, 16_000),
        rtol=0,
        atol=1e-6,
    )
    assert (len(found), found.lengths) == (72_003, (72_003, 48_002, 132_305))


def test_samples_in_memory_go_the_way_of_the_file(stereo) -> None:
    path, samples = stereo
    formats = SINC_16K, ENCODER_FORMAT
    whole = load_waveforms(path, formats)
    for name, waveform in convert(samples, 44_100, formats).by_name.items():
        np.testing.assert_array_equal(waveform, whole.by_name[name])


def test_limits_hold_for_any_format(stereo) -> None:
    path, _ = stereo
    with pytest.raises(AudioError, match=r"a\.wav: more than 0\.04 min of audio"):
        load_waveforms(path, [SINC_16K], max_minutes=0.04)
    with pytest.raises(AudioError, match=r"3\.00 s of audio, need at least 4\.000 s"):
        load_waveforms(path, [SINC_16K], min_seconds=4)
    assert len(load_waveforms(path, [SINC_16K], end=0.0001)) == 2


def test_a_gain_is_that_of_all() -> None:
    louder = Waveforms({"a": np.ones(2, np.float32), "b": np.full(3, 2, np.float32)}) * 0.5
    assert louder.by_name["a"].tolist() == [0.5, 0.5]
    assert louder.by_name["b"].tolist() == [1, 1, 1]
    assert louder.by_name["a"].dtype == np.float32
