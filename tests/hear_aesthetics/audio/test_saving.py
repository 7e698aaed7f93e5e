import numpy as np
import pytest
import soundfile

from hear_aesthetics.audio.saving import encode_audio, write_audio

RATE = 24_000


def tone(seconds, channels=1):
    time = np.arange(round(seconds * RATE)) / RATE
    wave = (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    return wave if channels == 1 else np.stack([wave] * channels, axis=1)


@pytest.mark.parametrize(("name", "noise"), [("a.flac", 1e-4), ("a.wav", 1e-4), ("a.mp3", 5e-2)])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_written_is_read_again(tmp_path, name, noise, channels):
    wave = tone(3.1, channels)
    path = tmp_path / "new" / name
    write_audio(path, wave, RATE)
    read, rate = soundfile.read(path)
    assert rate == RATE
    assert read.shape == wave.shape
    assert np.abs(read - wave)[2000:-2000].max() < noise


def test_the_subtype_decides_the_precision_and_loud_samples_are_clipped(tmp_path):
    path = tmp_path / "a.flac"
    write_audio(path, np.array([0.0, 1.5, -1.5, 1e-6], dtype=np.float32), RATE, subtype="PCM_24")
    assert soundfile.info(path).subtype == "PCM_24"
    assert soundfile.read(path)[0] == pytest.approx([0, 1, -1, 1e-6], abs=2e-7)


def test_a_name_without_a_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"song\.xyz: \.xyz names no audio format"):
        write_audio(tmp_path / "song.xyz", tone(0.1), RATE)
    assert not list(tmp_path.iterdir())


def test_options_of_the_encoder_reach_it() -> None:
    """320 kbit/s against 64: the constant bit rate decides the size."""
    waveform = np.random.default_rng(0).uniform(-0.1, 0.1, (44_100, 2)).astype("f4")
    kept = {"format": "MP3", "bitrate_mode": "CONSTANT"}
    sizes = [len(encode_audio(waveform, 44_100, compression_level=c, **kept)) for c in (0, 8 / 9)]
    assert sizes[0] / sizes[1] == pytest.approx(5, rel=0.05)
