"""Audio decoded from memory is that of the file, in every format, and errors name where it is."""

import numpy as np
import pytest

from hear_aesthetics.audio import audio_info, load_audio
from hear_aesthetics.corpus.stored import StoredFile
from hear_aesthetics.errors import AudioError


class InMemory(StoredFile):
    def __init__(self, name: str, content: bytes) -> None:
        self.text, self.content = f"box.tar/{name}", content

    def __str__(self) -> str:
        return self.text

    def read(self) -> bytes:
        return self.content

    def stamp(self) -> dict:
        return {}


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff", "opus"])
def test_a_format_decodes_from_memory_as_from_its_file(write_tone, tmp_path, suffix) -> None:
    rate = 48_000 if suffix == "opus" else 44_100
    path = write_tone(tmp_path / f"a.{suffix}", seconds=3, sample_rate=rate, channels=2)
    stored = InMemory(path.name, path.read_bytes())
    for span in ({}, {"start": 1.25, "end": 2.5}):
        np.testing.assert_array_equal(load_audio(stored, **span), load_audio(path, **span))
    assert audio_info(stored) == audio_info(path)


def test_what_ffmpeg_reads_decodes_from_memory(tmp_path, write_tone) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="mono")
        samples = np.sin(np.arange(44_100 * 3) * 0.05).astype(np.float32)[None] * 0.3
        for begin in range(0, samples.shape[1] - 1023, 1024):
            piece = np.ascontiguousarray(samples[:, begin : begin + 1024])
            frame = av.AudioFrame.from_ndarray(piece, "fltp", "mono")
            frame.rate = 44_100
            frame.pts = begin
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    stored = InMemory(path.name, path.read_bytes())
    np.testing.assert_array_equal(load_audio(stored, start=1.5), load_audio(path, start=1.5))


def test_joined_mp3s_decode_from_memory_to_their_end(write_tone, tmp_path) -> None:
    parts = [write_tone(tmp_path / f"{n}.mp3", seconds=n, sample_rate=44_100) for n in (1, 2)]
    path = tmp_path / "joined.mp3"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    loaded = load_audio(InMemory(path.name, path.read_bytes()))
    np.testing.assert_array_equal(loaded, load_audio(path))
    assert len(loaded) > 2.9 * 24_000


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "an empty file"), (b"<html>", "a web page"), (b"nothing" * 99, "reads it as audio")],
)
def test_what_is_no_audio_is_an_error_that_names_its_place(content, message) -> None:
    with pytest.raises(AudioError, match=message) as caught:
        load_audio(InMemory("a.wav", content))
    assert str(caught.value).startswith("box.tar/a.wav: ")
