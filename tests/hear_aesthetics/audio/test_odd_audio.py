"""Nothing is lost or changed without a word, whatever a header says."""

import ctypes
import logging
import os
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hear_aesthetics.audio import streams
from hear_aesthetics.audio.loading import audio_info, load_audio
from hear_aesthetics.audio.quiet import quiet_libraries
from hear_aesthetics.errors import AudioError

RATE = 24_000


def song(seconds: float, sample_rate: int = 44_100, channels: int = 2, pitch: float = 440.0):
    """Tone and noise, ``(frames, channels)``."""
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    noise = 0.05 * np.random.default_rng(0).standard_normal(times.size)
    mono = 0.3 * np.sin(2 * np.pi * pitch * times) + noise
    return np.repeat(mono[:, None], channels, axis=1).astype(np.float32)


def encoded(samples, sample_rate: int = 44_100, **options) -> bytes:
    """The content of a file that libsndfile writes."""
    file = BytesIO()
    with soundfile.SoundFile(file, "w", sample_rate, samples.shape[1], **options) as out:
        for first in range(0, len(samples), 8192):
            out.write(samples[first : first + 8192])
    return file.getvalue()


def mp3(seconds: float, sample_rate: int = 44_100, channels: int = 2, **options) -> bytes:
    """An MP3 with a Xing header."""
    return encoded(song(seconds, sample_rate, channels), sample_rate, format="MP3", **options)


def without_xing(content: bytes) -> bytes:
    """The frames behind the Xing header; a constant length of the first frame is assumed."""
    second = content.index(content[:2], 4)
    while content[second + 2] >> 2 & 3 != content[2] >> 2 & 3:  # of another rate: not a header
        second = content.index(content[:2], second + 1)
    return content[second:]


def varying_mp3(loud_first: bool = True) -> bytes:
    """Noise and a soft tone, whose frames differ in length, without a count of them: 12 s."""
    loud = np.random.default_rng(0).uniform(-0.5, 0.5, (2 * 44_100, 2))
    soft = 0.2 * song(10.0)
    parts = [loud, soft] if loud_first else [soft, loud]
    options = {"format": "MP3", "bitrate_mode": "VARIABLE", "compression_level": 0.4}
    return without_xing(encoded(np.concatenate(parts).astype(np.float32), **options))


def cover(size: int) -> bytes:
    """An ID3 tag with a picture."""
    picture = np.random.default_rng(1).bytes(size)
    body = b"\0image/png\0\3\0" + picture
    frame = b"APIC" + struct.pack(">I", len(body)) + b"\0\0" + body
    length = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + length + frame


def flac_of_unknown_length(content: bytes) -> bytes:
    """A FLAC as programs write it into a pipe."""
    changed = bytearray(content)
    changed[21] &= 0xF0
    changed[22:26] = bytes(4)
    return bytes(changed)


XING, CHANGED = mp3(2.0), mp3(2.0, 48_000)
VORBIS = {"format": "OGG", "subtype": "VORBIS"}
OPUS = {"format": "OGG", "subtype": "OPUS"}


@pytest.fixture
def load(tmp_path, caplog):
    """Write a file's content, read it back as a waveform and keep what was warned of."""

    def write_and_load(content: bytes, name: str = "a.mp3", **options):
        path = tmp_path / name
        path.write_bytes(content)
        with caplog.at_level(logging.WARNING):
            return load_audio(path, **options)

    return write_and_load


WHOLE = {
    "VBR without Xing, loud first": ("a.mp3", varying_mp3(), 12.0),
    "VBR without Xing, soft first": ("a.mp3", varying_mp3(loud_first=False), 12.0),
    "CBR without Xing": ("a.mp3", without_xing(XING), 2.0),
    "joined, both with Xing": ("a.mp3", XING + XING, 4.0),
    "joined, the second without Xing": ("a.mp3", XING + without_xing(XING), 4.0),
    "joined, none with Xing": ("a.mp3", without_xing(XING) * 2, 4.0),
    "joined, another rate": ("a.mp3", XING + CHANGED, 4.0),
    "joined, another rate, no Xing": ("a.mp3", without_xing(XING) + without_xing(CHANGED), 4.0),
    "joined, half the rate": ("a.mp3", XING + mp3(2.0, 22_050), 4.0),
    "joined, mono then stereo": ("a.mp3", mp3(2.0, channels=1) + XING, 4.0),
    "joined, tags between": ("a.mp3", cover(900) + XING + cover(900) + XING + b"TAG" * 43, 4.0),
    "a cover and no Xing": ("a.mp3", cover(500_000) + without_xing(XING), 2.0),
    "zeros before it": ("a.mp3", bytes(4_096) + XING, 2.0),
    "many zeros before it": ("a.mp3", bytes(70_000) + XING, 2.0),
    "zeros behind it": ("a.mp3", XING + bytes(50_000), 2.0),
    "an HTTP header before it": ("a.mp3", b"HTTP/1.0 200 OK\r\n\r\n" + XING, 2.0),
    "chained Vorbis": ("a.ogg", encoded(song(2.0), **VORBIS) * 2, 4.0),
    "chained Vorbis, another rate": (
        "a.ogg",
        encoded(song(2.0), **VORBIS) + encoded(song(1.0, 22_050, 1), 22_050, **VORBIS),
        3.0,
    ),
    "chained Opus": ("a.opus", encoded(song(2.0, 48_000), 48_000, **OPUS) * 2, 4.0),
    "FLAC of unknown length": (
        "a.flac",
        flac_of_unknown_length(encoded(song(2.0), format="FLAC")),
        2.0,
    ),
}


@pytest.mark.parametrize(("name", "content", "seconds"), WHOLE.values(), ids=WHOLE)
def test_all_of_it_is_read_without_a_word(name, content, seconds, load, tmp_path, caplog, capfd):
    waveform = load(content, name)
    assert len(waveform) / RATE == pytest.approx(
        seconds, abs=0.08
    )  # an encoder pads its last frame
    assert np.abs(waveform[-RATE // 2 : -RATE // 5]).max() > 0.01  # not a tail of zeros
    info = audio_info(tmp_path / name)
    assert info.duration == pytest.approx(seconds, abs=0.08)
    assert info.frames == pytest.approx(info.duration * info.sample_rate, abs=1)
    assert not caplog.records
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("second", [XING, CHANGED], ids=["same rate", "another rate"])
def test_joined_mp3s_are_what_the_parts_are_alone(second, load):
    parts = [load(XING, "1.mp3"), load(second, "2.mp3")]
    assert parts[0][-1] == 0
    parts[0] = parts[0][:-1]  # what rounding its length up added
    waveform, expected = load(XING + second), np.concatenate(parts)
    assert len(waveform) == len(expected)
    apart = np.flatnonzero(np.abs(waveform - expected) > 1e-6)
    assert (np.abs(apart - len(parts[0])) < 300).all()  # there the filter sees both parts


def test_a_span_of_joined_files_is_that_part_of_the_whole(load):
    content = XING + CHANGED + XING
    whole = load(content)
    span = load(content, start=2.5, end=4.5)
    inside = slice(1_000, 47_000)  # the filter sees other samples at the borders
    np.testing.assert_allclose(span[inside], whole[60_000:108_000][inside], atol=1e-3)


def test_an_mp3_without_xing_decodes_as_libsndfile_does_where_it_reads_it_all(tmp_path, load):
    waveform = load(varying_mp3(loud_first=True), sample_rate=44_100)
    samples, _ = soundfile.read(tmp_path / "a.mp3", dtype="float32")
    np.testing.assert_allclose(waveform[: len(samples)], samples.mean(axis=1), atol=1e-6)


def test_plain_mp3s_go_to_libsndfile_as_they_are():
    for content in (XING, cover(9_000) + XING, XING + b"TAG" + bytes(125)):
        assert streams.is_plain(streams.mpeg_parts(content), content)
    for content in (XING + XING, XING + bytes(999), without_xing(XING), XING[: len(XING) // 2]):
        assert not streams.is_plain(streams.mpeg_parts(content), content)


def test_what_holds_no_frames_has_no_parts():
    for content in (
        b"",
        b"\xff",
        b"\xff\xfb\x90",
        bytes(9_999),
        np.random.default_rng(0).bytes(99),
    ):
        assert streams.mpeg_parts(content) == []


def test_a_cut_mp3_is_warned_of_once(load, caplog):
    load(XING[: len(XING) // 2])
    (record,) = caplog.records
    assert "of the 2.00 s its header promises" in record.getMessage()


UNCOMPRESSED = ["WAV", "WAVEX", "AIFF", "W64", "RF64", "AU", "CAF"]


@pytest.mark.parametrize("kind", UNCOMPRESSED)
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_a_cut_of_uncompressed_audio_is_warned_of(kind, subtype, load, caplog):
    if kind == "CAF":
        pytest.importorskip("av", minversion="18")  # libsndfile and older FFmpeg refuse a cut one
    content = encoded(song(3.0), format=kind, subtype=subtype)
    name = f"a.{kind.lower()}"
    assert len(load(content, name)) == 3 * RATE
    assert not caplog.records
    assert len(load(content[: len(content) // 3], name)) == pytest.approx(RATE, abs=500)
    assert "of the 3.00 s its header promises" in caplog.text


@pytest.mark.parametrize(("riff", "data"), [(0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFFFFF, 0x7FFFFFDB)])
def test_sizes_that_a_program_could_not_know_promise_nothing(riff, data, load, caplog):
    whole = encoded(song(1.0), format="WAV", subtype="PCM_16")
    content = bytearray(whole)
    content[4:8], content[40:44] = struct.pack("<I", riff), struct.pack("<I", data)
    assert len(load(bytes(content), "a.wav")) == len(load(whole, "b.wav"))
    assert not caplog.records


@pytest.mark.parametrize(("riff", "data"), [(0, 0), (36, 0), (44, 8), (0xFFFFFFFF, 0)])
def test_sizes_that_were_never_filled_in_are_not_believed(riff, data, load):
    content = bytearray(encoded(song(1.0), format="WAV", subtype="PCM_16"))
    expected = load(bytes(content), "a.wav")
    content[4:8], content[40:44] = struct.pack("<I", riff), struct.pack("<I", data)
    np.testing.assert_array_equal(load(bytes(content), "b.wav"), expected)


def test_two_data_chunks_are_one_song(load):
    content = encoded(song(1.0), format="WAV", subtype="PCM_16")
    expected = load(content, "a.wav")
    cut = 44 + 80_000
    tail = b"data" + struct.pack("<I", len(content) - cut) + content[cut:]
    two = content[:40] + struct.pack("<I", 80_000) + content[44:cut] + tail
    np.testing.assert_array_equal(load(two, "b.wav"), expected)


def test_an_empty_wav_stays_empty_whatever_follows(load):
    content = encoded(song(0.0), format="WAV", subtype="PCM_16")
    with pytest.raises(AudioError, match=r"0\.00 s of audio"):
        load(content[:44] + b"LIST" + struct.pack("<I", 600) + bytes(600), "a.wav")


def test_a_decoder_that_meets_damage_prints_nothing(load, capfd):
    """libmpg123 reports a frame whose reservoir of bits is lost on stderr."""
    half = len(XING) // 2
    load(XING[:half] + bytes(3_000) + XING[half:])
    assert capfd.readouterr() == ("", "")


def test_python_and_c_code_still_print_beside_a_decoder(capfd):
    library = ctypes.CDLL(None)
    with quiet_libraries():
        os.write(2, b"from another thread\n")
        library.perror(b"dropped")
    library.perror(b"shown")
    err = capfd.readouterr().err
    assert "from another thread" in err
    assert "shown" in err
    assert "dropped" not in err


# Samples that are no audio, or on another scale


@pytest.mark.parametrize("value", [1e10, 1e18, -1e30, 3e38, np.inf, np.nan])
@pytest.mark.parametrize("channel", [0, 1])
def test_samples_that_are_no_audio_are_errors(value, channel, load, tmp_path):
    samples = song(1.0)
    samples[22_050, channel] = value
    with pytest.raises(AudioError, match=r"a\.wav: .* at 0\.50 s; "):
        load(encoded(samples, format="WAV", subtype="FLOAT"), "a.wav")


@pytest.mark.parametrize("bits", [15, 23, 31])
def test_integers_that_nobody_divided_are_warned_of(bits, load, caplog):
    samples = song(1.0) * np.float32(2**bits)
    load(encoded(samples, format="WAV", subtype="FLOAT"), "a.wav")
    assert f"divide by {2**bits}" in caplog.text


def test_loud_audio_is_no_integer(load, caplog):
    load(encoded(song(1.0) * 6, format="WAV", subtype="FLOAT"), "a.wav")
    assert not caplog.records


# What is too long


def test_audio_that_is_too_long_is_one_line(load):
    content = encoded(np.zeros((90 * 8_000, 1), dtype=np.float32), 8_000, format="FLAC")
    with pytest.raises(AudioError, match=r"a\.flac: more than 1 min of audio; take spans of it"):
        load(content, "a.flac", max_minutes=1.0)
    assert len(load(content, "a.flac", max_minutes=1.5)) == 90 * RATE
    assert len(load(content, "a.flac", max_minutes=1.0, end=59.0)) == 59 * RATE


# AAC whose rate or channels change


@pytest.mark.parametrize(("rate", "layout"), [(22_050, "stereo"), (44_100, "mono")])
def test_joined_aac_keeps_pitch_and_length(rate, layout, load, tmp_path):
    content = b"".join(adts(tmp_path, *kind) for kind in ((44_100, "stereo"), (rate, layout)))
    seen = []
    waveform = load(
        content, "a.aac", on_block=lambda block, rate: seen.append((block.shape[1], rate))
    )
    assert len(waveform) / RATE == pytest.approx(4.0, abs=0.25)  # the encoder pads both
    for part in (waveform[:RATE], waveform[-RATE - 4_800 : -4_800]):
        spectrum = np.abs(np.fft.rfft(part * np.hanning(part.size)))
        assert spectrum.argmax() == pytest.approx(440, abs=2)
    assert set(seen) == {(2, 44_100), (1 if layout == "mono" else 2, rate)}
    assert audio_info(tmp_path / "a.aac").duration == pytest.approx(len(waveform) / RATE, abs=1e-3)


def adts(folder: Path, rate: int, layout: str) -> bytes:
    av = pytest.importorskip("av")
    with av.open(str(folder / "part.aac"), "w") as container:
        stream = container.add_stream("aac", rate=rate, layout=layout)
        planes = np.ascontiguousarray(song(2.0, rate, 1 if layout == "mono" else 2).T)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler("fltp", layout, rate, frame_size=1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return (folder / "part.aac").read_bytes()
