"""Audio files as blocks of samples, by libsndfile, or by FFmpeg (PyAV, an extra) where it fails.

Two decoders share one interface: ``info``, what the header says, and ``blocks_from(first)``, pairs
of a frame index and float32 samples ``(frames, channels)`` that begin at or before ``first``. A
*frame* here is one sample of every channel, at the rate of the file.

Every failure is an ``AudioError`` that names the file and what to do. A decoder that reports damage
ends with such an error, which says where; a file that merely ends early gives what it holds.
"""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile

from hear_aesthetics.errors import AudioError

__all__ = ["AUDIO_EXTENSIONS", "AudioInfo", "Decoder", "open_decoder"]

_LIBSNDFILE = "aif aifc aiff au caf flac mp3 oga ogg opus rf64 w64 wav wave"
_FFMPEG = "3gp aac ac3 amr ape m4a m4b mka mkv mov mp2 mp4 webm wma wv"
AUDIO_EXTENSIONS = frozenset(f".{name}" for name in f"{_LIBSNDFILE} {_FFMPEG}".split())

RATES = range(1_000, 768_001)  # Hz; others come from a broken header, and would fill the memory
PREROLL_SECONDS = 1.0  # decoded before a span and dropped: MP3 and AAC frames lean on earlier ones
BLOCK_VALUES = 1 << 16  # samples of all channels together that one block holds
HEAD_BYTES = 4096

_IMPOSTORS = (
    ("version https://git-lfs", "a Git LFS pointer, not the audio; run `git lfs pull`"),
    ("<!doctype html", "a web page, not audio; download it again"),
    ("<html", "a web page, not audio; download it again"),
)


@dataclass(frozen=True)
class AudioInfo:
    """What the header of an audio file says, nothing decoded.

    Attributes:
        duration: Seconds.
        sample_rate: Hz, of the file.
        channels: Number of channels, at least 1.
        frames: Samples per channel at ``sample_rate``.
        format: Container (libsndfile: ``"WAV"``, ``"MP3"``) or codec (FFmpeg: ``"AAC"``).
    """

    duration: float
    sample_rate: int
    channels: int
    frames: int
    format: str


class Decoder(Protocol):
    """An open audio file."""

    info: AudioInfo

    def blocks_from(self, first: int) -> Iterator[tuple[int, np.ndarray]]:
        """Pairs of frame index and samples ``(frames, channels)``, consecutive to the end."""

    def close(self) -> None:
        """Releases the file."""


@contextmanager
def open_decoder(path: Path) -> Iterator[Decoder]:
    """The decoder that reads ``path``, closed at the end.

    Raises:
        AudioError: If the file is missing, no audio, or of a format whose decoder is not installed.
    """
    _check_file(path)
    decoder = _open_soundfile(path) or _open_pyav(path)
    try:
        info = decoder.info
        if info.sample_rate not in RATES or info.channels < 1:
            raise AudioError(
                f"{path}: its header says {info.sample_rate} Hz and {info.channels} channels, need "
                f"{RATES[0]}-{RATES[-1]} Hz and at least one; download or convert it again"
            )
        yield decoder
    finally:
        decoder.close()


def _check_file(path: Path) -> None:
    """Rejects what no decoder need be asked about: absent, special, empty, well-known impostors."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(f"{path}: a folder, not an audio file; name the files in it")
        if not stat.S_ISREG(mode):
            raise AudioError(f"{path}: a pipe or device; save the audio to a file first")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError as error:
        raise AudioError(f"{path}: no such file; check its name and folder") from error
    except PermissionError as error:
        raise AudioError(f"{path}: no permission to read it; run `chmod u+r` on it") from error
    except (OSError, ValueError) as error:  # a name too long, a link in a loop, a null byte
        raise AudioError(f"{str(path)!r}: cannot be opened ({error}); check its name") from error
    if not head:
        raise AudioError(f"{path}: an empty file; remove it or download it again")
    if not head.strip(b"\0"):
        raise AudioError(f"{path}: nothing but zero bytes, not audio; download it again")
    text = head.decode("latin-1").lower().lstrip()
    for start, what in _IMPOSTORS:
        if text.startswith(start):
            raise AudioError(f"{path}: {what}")


def _damaged(path: Path, info: AudioInfo, position: int, error: Exception) -> AudioError:
    at = f"{position / info.sample_rate:.2f} of {info.duration:.2f} s"
    reason = " ".join(str(getattr(error, "strerror", error)).split()).rstrip(".")
    return AudioError(
        f"{path}: cut or damaged, decoding fails after {at} ({reason}); "
        "download it again, or take a span that ends before"
    )


class _SequentialSoundFile(soundfile.SoundFile):
    """A sound file that is read straight on.

    soundfile seeks to where it already is after each read. For MP3 that restarts the decoder
    without the bits that the next frame borrows from earlier ones, and puts noise at every block
    border. Files that say they cannot seek are spared it.
    """

    def seekable(self) -> bool:
        return False


class SoundFileDecoder:
    """What libsndfile reads: wav, flac, ogg, opus, mp3, aiff and more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # An open descriptor rather than a name: libsndfile then goes by the content alone and does
        # not hunt for MPEG frames in whatever is called .mp3, with a chatter on stderr.
        self._raw = path.open("rb")
        try:
            self._file = file = _SequentialSoundFile(self._raw.fileno(), closefd=False)
        except soundfile.LibsndfileError:
            self._raw.close()
            raise
        self.info = AudioInfo(
            duration=file.frames / max(file.samplerate, 1),
            sample_rate=file.samplerate,
            channels=file.channels,
            frames=file.frames,
            format=file.format,
        )

    def blocks_from(self, first: int) -> Iterator[tuple[int, np.ndarray]]:
        """See ``Decoder``."""
        size = max(BLOCK_VALUES // self.info.channels, 1)
        position = max(first - round(PREROLL_SECONDS * self.info.sample_rate), 0)
        try:
            if position:
                position = self._file.seek(min(position, self.info.frames))
            while len(block := self._file.read(size, dtype="float32", always_2d=True)):
                yield position, block
                position += len(block)
        except soundfile.LibsndfileError as error:
            raise _damaged(self._path, self.info, position, error) from error

    def close(self) -> None:
        """See ``Decoder``."""
        self._file.close()
        self._raw.close()


def _open_soundfile(path: Path) -> SoundFileDecoder | None:
    try:
        return SoundFileDecoder(path)
    except soundfile.LibsndfileError:
        return None


class PyAVDecoder:
    """What FFmpeg reads: m4a, aac, webm, mp4 and the rest."""

    def __init__(self, path: Path, av: Any) -> None:
        self._path = path
        self._av = av
        self._file = path.open("rb")  # a file object: playlists cannot lead FFmpeg to other files
        try:
            self._container = av.open(self._file, metadata_errors="ignore")
            tracks = [t for t in self._container.streams.audio if t.codec_context is not None]
            if not tracks:  # none, or of a codec that FFmpeg does not know
                raise AudioError(f"{path}: no audio track that can be decoded; remove it")
            self._stream = tracks[0]
            self.info = self._read_info()
        except BaseException:
            self._file.close()
            raise

    def _read_info(self) -> AudioInfo:
        stream = self._stream
        rate = stream.rate or 0
        duration = float(self._duration())
        return AudioInfo(
            duration, rate, stream.channels, round(duration * rate), stream.name.upper()
        )

    def _duration(self) -> float:
        """Seconds; counted from the packets where the container knows no length or guesses it."""
        stream, container = self._stream, self._container
        if container.format.name != "aac":
            if stream.duration is not None:
                return stream.duration * stream.time_base
            if container.duration is not None:
                return container.duration / self._av.time_base
        with self._path.open("rb") as file, self._av.open(file, metadata_errors="ignore") as again:
            packets = again.demux(again.streams[self._stream.index])
            return sum((packet.duration or 0) * packet.time_base for packet in packets)

    def blocks_from(self, first: int) -> Iterator[tuple[int, np.ndarray]]:
        """See ``Decoder``. Seeks in mp4 and m4a, whose index is exact; decodes from 0 elsewhere."""
        stream, rate = self._stream, self.info.sample_rate
        origin = stream.start_time or 0
        to_float = self._av.AudioResampler(format="fltp")  # planar float32, same rate and channels
        lead = first / rate - PREROLL_SECONDS
        position = 0
        try:
            seeks = lead > 0 and self._container.format.name.startswith("mov")
            if seeks:
                self._container.seek(origin + int(lead / stream.time_base), stream=stream)
            for frame in self._container.decode(stream):
                if seeks:
                    position, seeks = round((frame.pts - origin) * frame.time_base * rate), False
                for piece in to_float.resample(frame):
                    yield position, piece.to_ndarray().T
                    position += piece.samples
        except (self._av.FFmpegError, OSError, ValueError) as error:
            raise _damaged(self._path, self.info, position, error) from error

    def close(self) -> None:
        """See ``Decoder``."""
        self._container.close()
        self._file.close()


def _open_pyav(path: Path) -> PyAVDecoder:
    try:
        import av
    except ImportError as error:
        raise AudioError(
            f"{path}: libsndfile does not read it, and PyAV, which reads m4a, webm and more, is "
            'missing; pip install "hear-aesthetics[av]", or convert the file to wav or flac'
        ) from error
    try:
        return PyAVDecoder(path, av)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise AudioError(
            f"{path}: neither libsndfile nor FFmpeg reads it as audio; "
            "convert it to wav or flac, or remove it"
        ) from error
