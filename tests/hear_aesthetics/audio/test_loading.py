import builtins
import logging
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from hear_aesthetics.audio import AUDIO_EXTENSIONS, audio_info, load_audio, resample
from hear_aesthetics.audio.loading import resampled_length
from hear_aesthetics.errors import AudioError
from hear_aesthetics.spec import MIN_SAMPLES

LOSSLESS = ["a.wav", "a.flac", "a.aiff", "a.caf", "a.au", "a.w64"]
LOSSY = ["a.mp3", "a.ogg", "a.opus"]
BY_PYAV = {"a.m4a": "aac", "a.aac": "aac", "a.webm": "libopus", "a.mka": "aac"}
BY_PYAV_LOSSLESS = {"lossless.m4a": "alac", "lossless.mka": "flac"}


def tone_frequency(waveform, sample_rate=24_000):
    middle = waveform[len(waveform) // 4 : -len(waveform) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
    return spectrum.argmax() * sample_rate / middle.size


def noisy_song(seconds, sample_rate, seed=0):
    """Tone, bursts of noise and silence in two channels: an encoder's bit rate swings on it."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    song = 0.3 * np.sin(2 * np.pi * 330 * times)[:, None] * [1.0, 0.5]
    song += 0.2 * (np.sin(2 * np.pi * 0.4 * times) > 0.3)[:, None] * rng.standard_normal(song.shape)
    song[: sample_rate // 2] = 0
    return song.clip(-1, 1).astype(np.float32)


def write_song(path, seconds=6.0, sample_rate=44_100, **options):
    song = noisy_song(seconds, sample_rate)
    with soundfile.SoundFile(path, "w", sample_rate, song.shape[1], **options) as file:
        for begin in range(0, len(song), 8192):
            file.write(song[begin : begin + 8192])
    return path


def encode(path, codec, samples, sample_rate):
    """Writes with PyAV: samples (frames, channels)."""
    av = pytest.importorskip("av")
    layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=sample_rate, layout=layout)
        to_codec = av.AudioResampler(stream.codec_context.format, layout, sample_rate)
        planes = np.ascontiguousarray(samples.T)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = sample_rate, 0
        for piece in [*to_codec.resample(frame), *to_codec.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def no_pyav(monkeypatch):
    real_import = builtins.__import__

    def without_av(name, *args, **kwargs):
        if name == "av":
            raise ImportError("No module named 'av'")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_av)


# Formats


@pytest.mark.parametrize("name", [*LOSSLESS, *LOSSY])
def test_every_format_of_libsndfile_loads_as_mono_float32_24khz(name, tmp_path, write_tone):
    path = write_tone(tmp_path / name, seconds=1.0, sample_rate=48_000, channels=2)
    waveform = load_audio(path)
    assert waveform.dtype == np.float32
    assert waveform.shape == (24_000,)
    assert tone_frequency(waveform) == pytest.approx(440, abs=3)
    assert path.suffix in AUDIO_EXTENSIONS


@pytest.mark.parametrize(("name", "codec"), list((BY_PYAV | BY_PYAV_LOSSLESS).items()))
def test_formats_that_libsndfile_lacks_load_through_pyav(name, codec, tmp_path):
    times = np.arange(48_000) / 48_000
    samples = 0.5 * np.sin(2 * np.pi * 440 * times)[:, None].astype(np.float32) * [1, 1]
    path = encode(tmp_path / name, codec, samples.astype(np.float32), 48_000)
    waveform = load_audio(path)
    assert waveform.dtype == np.float32
    assert abs(len(waveform) - 24_000) <= 1024  # an AAC encoder pads to whole packets
    assert tone_frequency(waveform) == pytest.approx(440, abs=3)
    assert path.suffix in AUDIO_EXTENSIONS


@pytest.mark.parametrize("name", ["a.m4a", "a.webm"])
def test_without_pyav_the_error_names_the_extra(name, tmp_path, no_pyav):
    path = tmp_path / name
    path.write_bytes(b"\x1a\x45\xdf\xa3 matroska, or something else that libsndfile does not read")
    with pytest.raises(AudioError, match=r'PyAV.*is missing; pip install "hear-aesthetics\[av\]"'):
        load_audio(path)


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 16_000, 22_050, 32_000, 96_000, 192_000])
def test_every_usual_rate_keeps_pitch_and_length(sample_rate, tmp_path, write_tone):
    path = write_tone(tmp_path / "a.wav", seconds=1.0, sample_rate=sample_rate)
    waveform = load_audio(path)
    assert waveform.shape == (resampled_length(sample_rate, sample_rate, 24_000),)
    assert tone_frequency(waveform) == pytest.approx(440, abs=3)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_sample_format_has_the_same_scale(subtype, tmp_path, write_tone):
    waveform = load_audio(write_tone(tmp_path / "a.wav", subtype=subtype))
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000)
    np.testing.assert_allclose(waveform, expected, atol=1 / 127 if subtype == "PCM_U8" else 1e-4)


@pytest.mark.parametrize("name", LOSSLESS)
def test_samples_of_16_bits_are_those_of_libsndfile(name, tmp_path):
    path = write_song(tmp_path / name, seconds=1.0, sample_rate=24_000, subtype="PCM_16")
    channels, _ = soundfile.read(path, dtype="float32")
    assert np.array_equal(load_audio(path), (channels[:, 0] + channels[:, 1]) / 2)


def test_float_values_above_one_are_kept(tmp_path):
    samples = np.full(24_000, 2.5, dtype=np.float32)
    soundfile.write(tmp_path / "loud.wav", samples, 24_000, subtype="FLOAT")
    np.testing.assert_array_equal(load_audio(tmp_path / "loud.wav"), samples)


def test_digital_silence_is_audio(tmp_path):
    soundfile.write(tmp_path / "silence.flac", np.zeros((48_000, 2)), 48_000)
    waveform = load_audio(tmp_path / "silence.flac")
    assert waveform.shape == (24_000,)
    assert not waveform.any()


def test_golden_wave_is_read_as_int16_over_32768(golden):
    path = golden / "audio" / "short.wav"
    samples, _ = soundfile.read(path, dtype="int16")
    np.testing.assert_array_equal(load_audio(path), samples.astype(np.float32) / 32768)


# The published pipeline: mean of the channels, soxr HQ; lengths are in test_length.py


@pytest.mark.parametrize("channels", [1, 2, 8])
def test_channels_are_averaged_and_then_resampled(channels, tmp_path):
    samples = np.random.default_rng(0).uniform(-1, 1, (50_001, channels)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 44_100, subtype="FLOAT")
    expected = soxr.resample(samples.mean(axis=1), 44_100, 24_000, quality="HQ")
    waveform = load_audio(tmp_path / "a.wav")
    np.testing.assert_allclose(waveform[: expected.size], expected, atol=1e-6)


def test_resample_keeps_leading_axes():
    batch = np.random.default_rng(0).uniform(-1, 1, (2, 3, 4_801)).astype(np.float32)
    output = resample(batch, 48_000, 24_000)
    assert output.shape == (2, 3, 2_401)
    np.testing.assert_allclose(
        output[1, 2], resample(batch[1, 2], 48_000, 24_000), rtol=0, atol=1e-6
    )


def test_resample_to_the_same_rate_changes_nothing():
    samples = np.random.default_rng(0).uniform(-1, 1, 1000).astype(np.float32)
    np.testing.assert_array_equal(resample(samples, 24_000, 24_000), samples)


# Reading in blocks, and spans


@pytest.mark.parametrize("options", [{}, {"bitrate_mode": "VARIABLE", "compression_level": 0.7}])
def test_mp3_in_blocks_equals_mp3_at_once(options, tmp_path):
    """soundfile's own seek after each read breaks MP3 at block borders."""
    path = write_song(tmp_path / "a.mp3", **options)
    whole, rate = soundfile.read(path, dtype="float32")
    expected = resample(whole.mean(axis=1), rate, 24_000)
    np.testing.assert_allclose(load_audio(path), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg"])
@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (0.7, 2.2), (3.111, None), (4.5, 99.0)])
def test_a_span_equals_that_part_of_the_whole(name, start, end, tmp_path):
    path = write_song(tmp_path / name)
    whole = load_audio(path, sample_rate=44_100)
    stop = None if end is None else round(end * 44_100)
    span = load_audio(path, sample_rate=44_100, start=start, end=end)
    np.testing.assert_allclose(span, whole[round(start * 44_100) : stop], atol=1e-6)


@pytest.mark.parametrize(("name", "codec"), list((BY_PYAV | BY_PYAV_LOSSLESS).items()))
def test_a_span_of_a_pyav_format_equals_that_part_of_the_whole(name, codec, tmp_path):
    song = noisy_song(6.0, 48_000)
    if codec == "aac":  # its decoder fills bands with noise of its own, which depends on the start
        song[:] = np.sin(np.arange(len(song)) ** 2 / 2e6)[:, None] / 2
    path = encode(tmp_path / name, codec, song, 48_000)
    whole = load_audio(path, sample_rate=48_000)
    span = load_audio(path, sample_rate=48_000, start=3.111, end=4.222)
    np.testing.assert_allclose(span, whole[149_328:202_656], atol=1e-3)


def test_memory_is_bounded_by_the_mono_result(tmp_path):
    """Two minutes of 8 channels at 96 kHz are 369 MB of float32, the result is 11.5 MB."""
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 96_000, 8) as file:
        for _ in range(120):
            file.write(np.zeros((96_000, 8), dtype=np.float32))
    tracemalloc.start()
    waveform = load_audio(tmp_path / "a.flac")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert waveform.nbytes == 120 * 24_000 * 4
    assert peak < 1.5 * waveform.nbytes


# Headers


def test_info_says_what_the_header_says(tmp_path, write_tone):
    info = audio_info(write_tone(tmp_path / "a.flac", 2.5, sample_rate=44_100, channels=2))
    assert (info.duration, info.sample_rate, info.channels) == (2.5, 44_100, 2)
    assert (info.frames, info.format) == (110_250, "FLAC")


@pytest.mark.parametrize(("name", "codec"), list(BY_PYAV.items()))
def test_info_of_pyav_formats(name, codec, tmp_path):
    info = audio_info(encode(tmp_path / name, codec, noisy_song(3.0, 48_000), 48_000))
    assert info.duration == pytest.approx(3.0, abs=0.05)
    assert (info.sample_rate, info.channels) == (48_000, 2)


def test_wav_of_unknown_length_is_read_to_its_end(tmp_path, write_tone):
    """A wav that a program wrote into a pipe announces 4 GiB."""
    content = bytearray(write_tone(tmp_path / "a.wav").read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", 0xFFFFFFFF)
    (tmp_path / "piped.wav").write_bytes(content)
    assert load_audio(tmp_path / "piped.wav").shape == (24_000,)


# Broken files


def test_every_broken_file_is_one_line_with_file_and_remedy(broken_audio_folder):
    for path in sorted(broken_audio_folder.iterdir()):
        with pytest.raises(AudioError) as caught:
            load_audio(path)
        message = str(caught.value)
        assert message.startswith(f"{path}: "), message
        assert "; " in message, f"no remedy: {message}"
        assert "\n" not in message


def test_broken_files_are_errors_without_pyav_too(broken_audio_folder, no_pyav):
    for path in sorted(broken_audio_folder.iterdir()):
        with pytest.raises(AudioError, match="; "):
            load_audio(path)


def test_broken_files_leave_stderr_alone(broken_audio_folder, capfd):
    for path in sorted(broken_audio_folder.iterdir()):
        with pytest.raises(AudioError):
            load_audio(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.opus"])
def test_a_file_cut_in_the_middle_gives_what_it_holds(name, tmp_path):
    path = write_song(
        tmp_path / name,
        sample_rate=48_000,
        **({"format": "OGG", "subtype": "OPUS"} if name == "a.opus" else {}),
    )
    whole = load_audio(path)
    cut = tmp_path / f"cut_{name}"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    part = load_audio(cut)
    assert 24_000 < len(part) < 0.9 * len(whole)
    inside = len(part) - 2_400  # the last frames of a cut stream may be incomplete
    np.testing.assert_allclose(part[:inside], whole[:inside], atol=1e-6)


def test_a_cut_is_reported_where_the_header_knows_the_length(tmp_path, caplog):
    path = write_song(tmp_path / "a.mp3")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        load_audio(path)
    assert "of the 6.00 s its header promises" in caplog.text


def test_damage_says_where(tmp_path):
    path = write_song(tmp_path / "a.flac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=r"fails after [1-4]\.\d\d of 6\.00 s .*take a span"):
        load_audio(path)
    assert load_audio(path, end=1.0).size >= 24_000  # the remedy works


def test_nan_says_where(broken_audio_folder):
    with pytest.raises(AudioError, match=r"nan\.wav: NaN or infinity at 0\.50 s"):
        load_audio(broken_audio_folder / "nan.wav")


def test_too_short_says_how_short_and_what_to_do(broken_audio_folder):
    expected = (
        "too_short.wav: 0.02 s of audio, need at least 0.043 s; "
        "remove it or join it to its neighbour"
    )
    with pytest.raises(AudioError, match=expected):
        load_audio(broken_audio_folder / "too_short.wav")


def test_shortest_audio_is_what_the_encoders_need(tmp_path):
    for samples in (MIN_SAMPLES, MIN_SAMPLES - 1):
        soundfile.write(tmp_path / f"{samples}.wav", np.zeros(samples), 24_000)
    assert load_audio(tmp_path / f"{MIN_SAMPLES}.wav").shape == (MIN_SAMPLES,)
    with pytest.raises(AudioError, match="need at least"):
        load_audio(tmp_path / f"{MIN_SAMPLES - 1}.wav")
    assert load_audio(tmp_path / f"{MIN_SAMPLES - 1}.wav", min_samples=1).size == MIN_SAMPLES - 1


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (-1.0, None, "need 0 <= start < end"),
        (2.0, 1.0, "need 0 <= start < end"),
        (1.0, 1.0, "need 0 <= start < end"),
        (float("nan"), None, "need 0 <= start < end"),
        (0.0, float("inf"), "need 0 <= start < end"),
        (5.0, None, r"ends before the span's start, 5\.0 s; correct the span"),
        (0.5, 0.51, "0.01 s of audio, need at least 0.043 s; make the span longer"),
    ],
)
def test_impossible_spans_are_errors(start, end, message, tmp_path, write_tone):
    with pytest.raises(AudioError, match=message):
        load_audio(write_tone(tmp_path / "a.wav"), start=start, end=end)


@pytest.mark.parametrize("rate", [0, 1, 4_000_000_000])
def test_nonsense_rates_are_errors_before_they_fill_the_memory(rate, tmp_path, write_tone):
    content = bytearray(write_tone(tmp_path / "a.wav").read_bytes())
    content[24:28] = struct.pack("<I", rate)
    (tmp_path / "odd.wav").write_bytes(content)
    with pytest.raises(AudioError, match=r"odd\.wav: "):
        load_audio(tmp_path / "odd.wav")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.wav", "no such file"),
        ("", "a folder, not an audio file"),
        ("null\0byte.wav", "cannot be opened"),
        ("x" * 300 + ".wav", "cannot be opened"),
    ],
)
def test_paths_that_are_no_files_are_errors(name, message, tmp_path):
    with pytest.raises(AudioError, match=message):
        load_audio(tmp_path / name)


def test_a_pipe_is_an_error_and_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="a pipe or device"):
        load_audio(tmp_path / "pipe.wav")


def test_an_unreadable_file_is_an_error(tmp_path, write_tone, monkeypatch):
    path = write_tone(tmp_path / "a.wav")

    def refuse(self, *args):  # permissions do not bind root, under whom tests may run
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AudioError, match=r"a\.wav: no permission to read it; run `chmod u\+r`"):
        load_audio(path)


def test_names_that_are_no_utf8_are_read(tmp_path, write_tone):
    path = write_tone(tmp_path / "a.mp3")
    odd = path.rename(tmp_path / os.fsdecode(b"caf\xe9.mp3"))
    assert load_audio(odd).shape == (24_000,)


def test_a_video_without_sound_is_an_error(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(AudioError, match="no audio track that can be decoded; remove it"):
        load_audio(path)
