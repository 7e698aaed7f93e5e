"""Loading of audio files as the mono waveforms that the encoders take.

The channels are averaged first and the mean is resampled with soxr's HQ filter, to
:func:`resampled_length` samples: what the published pipelines do. Everything goes block by block,
so that memory stays at about twice the result, whatever the file's rate and channels.

What a file that ends early still holds is used, with a warning in the log where its header promises
more. Damage that a decoder reports, samples that are no audio (NaN, infinity, beyond any integer's
scale), audio too short to encode and audio too long raise an ``AudioError``. Digital silence is
audio, and float samples beyond [-1, 1] are kept.
"""

import logging
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from os import PathLike

import numpy as np
import soxr

from hear_aesthetics.audio.decoding import AudioInfo, Block, Decoder, open_decoder
from hear_aesthetics.audio.sinc import SincResampler, sinc_resample
from hear_aesthetics.audio.waveforms import SINC, WaveformFormat, Waveforms
from hear_aesthetics.corpus.stored import AnyPath, as_path
from hear_aesthetics.errors import AudioError, TooLongError
from hear_aesthetics.spec import MAX_MINUTES, MIN_SAMPLES, SAMPLE_RATE

__all__ = [
    *("LENGTH_RULE", "audio_info", "convert", "load_audio", "load_waveforms", "mix"),
    *("resample", "resampled_length", "to_format"),
]

QUALITY = "HQ"
LENGTH_RULE = {"length_rule": "librosa"}  # of audio at 24 kHz, in fingerprints of what it decides
MAX_HEADER_EXCESS_SECONDS = 0.5  # of a length in a header over what is there; more is a cut
NOT_FINITE = "NaN or infinity"
MAX_SAMPLE = 2.0**31  # the largest scale of integers; what is beyond is no audio
INTEGER_SAMPLE = 100.0  # beyond it, samples are integers that nobody divided

logger = logging.getLogger(__name__)


def load_audio(
    path: str | PathLike[str],
    sample_rate: int = SAMPLE_RATE,
    *,
    start: float | None = None,
    end: float | None = None,
    min_samples: int | None = None,
    max_minutes: float = MAX_MINUTES,
    on_block: Callable[[np.ndarray, int], None] | None = None,
) -> np.ndarray:
    """Return the mono waveform of a file, or of a span of it, at ``sample_rate``.

    libsndfile reads wav, flac, ogg, opus, mp3 and more; m4a, aac, webm and the rest need PyAV
    (``pip install "hear-aesthetics[av]"``).

    Args:
        path: Audio file, on disk or stored in a container.
        sample_rate: Rate of the result in Hz.
        start: Beginning of the span in seconds; None is the beginning of the file.
        end: End of the span in seconds; None, or a time past it, is the end of the file.
        min_samples: Fewest samples of the result; by default what the encoders need (0.043 s).
        max_minutes: Longest result; what is longer costs no more memory than this.
        on_block: Called with each block of the span as it is decoded, ``(frames, channels)``
            float32, and its rate in Hz.

    Shape:
        - output: ``(samples,)``, float32, samples >= 1

    Raises:
        AudioError: If the file cannot be read, is damaged, too short or too long, or holds samples
            that are no audio.
    """
    if min_samples is None:
        min_samples = -(-MIN_SAMPLES * sample_rate // SAMPLE_RATE)
    waveform_format = WaveformFormat(sample_rate)
    waveforms = load_waveforms(
        path,
        (waveform_format,),
        start=start,
        end=end,
        min_seconds=min_samples / sample_rate,
        max_minutes=max_minutes,
        on_block=on_block,
    )
    return waveforms.by_name[str(waveform_format)]


def load_waveforms(
    path: str | PathLike[str],
    formats: Sequence[WaveformFormat],
    *,
    start: float | None = None,
    end: float | None = None,
    min_seconds: float = 0.0,
    max_minutes: float = MAX_MINUTES,
    on_block: Callable[[np.ndarray, int], None] | None = None,
) -> Waveforms:
    """Return a file, or a span of it, as one mono waveform per format; it is decoded once.

    Args:
        path: Audio file.
        formats: One at least.
        start: Beginning of the span in seconds; None is the beginning of the file.
        end: End of the span in seconds; None, or a time past it, is the end of the file.
        min_seconds: Shortest audio; one sample is needed in any case.
        max_minutes: Longest result; what is longer costs no more memory than this.
        on_block: As of :func:`load_audio`.

    Raises:
        AudioError: As :func:`load_audio`.
    """
    path, low = as_path(path), start or 0.0
    if not 0 <= low < (math.inf if end is None else end) or end == math.inf:
        raise AudioError(f"{path}: span {start} to {end} s; need 0 <= start < end, in seconds")
    tracks = [_Track(waveform_format) for waveform_format in formats]
    peak, read_to = 0.0, 0.0
    with open_decoder(path) as decoder:
        blocks = _span(path, decoder, low, end)
        for rate, stretch in groupby(blocks, key=attrgetter("sample_rate")):
            for track in tracks:
                track.begin(rate)
            for block in stretch:
                if on_block is not None:
                    on_block(block.samples, rate)
                peak = max(peak, block.samples.max(), -block.samples.min())
                read_to = (block.position + len(block.samples)) / rate
                mono = mix(block.samples)
                for track in tracks:
                    track.push(mono)
                if tracks[0].seconds > max_minutes * 60:
                    raise TooLongError(
                        f"{path}: more than {max_minutes:g} min of audio; take spans of it, or "
                        "allow more (--max-minutes of embed and score)"
                    )
            for track in tracks:
                track.finish()
        missing = (decoder.promised or 0.0) - read_to
        if end is None and missing > MAX_HEADER_EXCESS_SECONDS:
            logger.warning(
                "%s: holds %.2f of the %.2f s its header promises; it is probably cut off",
                path,
                read_to,
                decoder.promised,
            )
    _warn_of_integers(path, peak)
    waveforms = Waveforms({str(track.format): track.waveform() for track in tracks})
    needed = max(min_seconds, 1 / formats[0].rate)
    _check_length(path, len(waveforms) / formats[0].rate, needed, start, end)
    return waveforms


def convert(samples: np.ndarray, sample_rate: int, formats: Sequence[WaveformFormat]) -> Waveforms:
    """Return samples in memory as :func:`load_waveforms` returns a file of them.

    Args:
        samples: Float32 ``(frames, channels)``, which stay as they are.
        sample_rate: Hz.
        formats: One at least.
    """
    mono = np.require(mix(samples), requirements="W")  # a copy of what is a view of locked samples
    return Waveforms({str(f): to_format(mono, sample_rate, f) for f in formats})


def to_format(mono: np.ndarray, sample_rate: int, wanted: WaveformFormat) -> np.ndarray:
    """Return mono waveforms ``(..., samples)`` in a format; a copy where something changes."""
    if wanted.resampler == SINC:
        return sinc_resample(mono, sample_rate, wanted.rate)
    return resample(mono, sample_rate, wanted.rate)


def audio_info(path: str | PathLike[str]) -> AudioInfo:
    """Return duration, rate, channels, frames and format of a file, by its header if that knows.

    A file without a length in its header (as programs write into a pipe) is decoded and counted.

    Raises:
        AudioError: If the file cannot be read.
    """
    with open_decoder(as_path(path)) as decoder:
        info = decoder.info
        if info.frames is None:
            last = deque(decoder.blocks_from(0.0), maxlen=1)
            seconds = sum((b.position + len(b.samples)) / b.sample_rate for b in last)
            info = replace(info, duration=seconds, frames=round(seconds * info.sample_rate))
        return info


def resampled_length(samples: int, orig: int, new: int) -> int:
    """Return the samples that audio has at another rate.

    At the encoders' 24 kHz the length is librosa's, which loads the audio of the published
    pipelines: the ratio of the rates is rounded to a double before the product is rounded up
    (``librosa.resample``, version 0.11). From 44.1 kHz and its multiples the result is often one
    more than the exact ceiling where that is a whole quotient: 240,001 for 10 s. The sample is a
    zero, and moves the reflection at the end of the log-mel. At other rates, among them HEAR's 48
    kHz, the length is the exact ceiling: one sample more would start another frame of 40 ms.

    Args:
        samples: Number of samples at ``orig``.
        orig: Rate in Hz.
        new: Rate of the result in Hz.
    """
    if new == SAMPLE_RATE:
        return math.ceil(samples * (new / orig))
    return _exact_length(samples, orig, new)


def resample(waveform: np.ndarray, orig: int, new: int) -> np.ndarray:
    """Return a waveform at another rate, by the filter and length rule of ``load_audio``.

    Args:
        waveform: Float32 samples.
        orig: Rate of ``waveform`` in Hz.
        new: Rate of the result in Hz.

    Shape:
        - waveform: ``(..., samples)``
        - output: ``(..., resampled_length(samples, orig, new))``
    """
    waveform = np.asarray(waveform, dtype=np.float32)
    if orig == new:
        return waveform
    rows = waveform.reshape(-1, waveform.shape[-1])
    output = np.zeros((len(rows), resampled_length(rows.shape[1], orig, new)), np.float32)
    for row, result in zip(rows, output, strict=True):
        resampled = soxr.resample(row, orig, new, quality=QUALITY)[: result.size]
        result[: resampled.size] = resampled
    return output.reshape(*waveform.shape[:-1], -1)


class _Track:
    """Waveform in the making, in one format; its rate may change with the stretch of the file."""

    def __init__(self, waveform_format: WaveformFormat) -> None:
        self.format = waveform_format
        self._parts = [np.zeros(0, dtype=np.float32)]
        self._samples = 0
        self._resampler: _SoxrResampler | SincResampler | None = None

    @property
    def seconds(self) -> float:
        """What is there already."""
        return self._samples / self.format.rate

    def begin(self, sample_rate: int) -> None:
        """Begin a stretch at a rate in Hz."""
        kind = SincResampler if self.format.resampler == SINC else _SoxrResampler
        self._resampler = kind(sample_rate, self.format.rate)

    def push(self, mono: np.ndarray) -> None:
        """Take the next samples of the stretch."""
        self._keep(self._resampler.push(mono))  # type: ignore[union-attr]

    def finish(self) -> None:
        """End the stretch."""
        self._keep(self._resampler.finish())  # type: ignore[union-attr]

    def waveform(self) -> np.ndarray:
        """Return all of it, ``(samples,)`` float32."""
        if isinstance(self._resampler, _SoxrResampler):  # only the last stretch is rounded up
            self._keep(np.zeros(self._resampler.missing, dtype=np.float32))
        return np.concatenate(self._parts)

    def _keep(self, part: np.ndarray) -> None:
        self._parts.append(part)
        self._samples += len(part)


class _SoxrResampler:
    """soxr's stream with a count: the samples of ``resample`` on the whole, bit for bit."""

    def __init__(self, orig: int, new: int) -> None:
        self._rates = orig, new
        self._stream = None if orig == new else soxr.ResampleStream(orig, new, 1, quality=QUALITY)
        self.samples_in = 0
        self.samples_out = 0

    def push(self, mono: np.ndarray, last: bool = False) -> np.ndarray:
        """Return what the resampler releases for the next samples of its input."""
        output = mono if self._stream is None else self._stream.resample_chunk(mono, last)
        self.samples_in += mono.size
        self.samples_out += output.size
        return output

    def finish(self) -> np.ndarray:
        """Return the tail, made to reach the exact length: more would move what follows."""
        tail = self.push(np.zeros(0, dtype=np.float32), last=True)
        missing = _exact_length(self.samples_in, *self._rates) - self.samples_out
        self.samples_out += missing
        return np.pad(tail, (0, missing)) if missing >= 0 else tail[:missing]

    @property
    def missing(self) -> int:
        """Samples between the exact length and that of :func:`resampled_length`."""
        return resampled_length(self.samples_in, *self._rates) - self.samples_out


def _exact_length(samples: int, orig: int, new: int) -> int:
    return -(-samples * new // orig)


def _span(path: AnyPath, decoder: Decoder, start: float, end: float | None) -> Iterator[Block]:
    """Yield the blocks from ``start`` to ``end`` seconds, cut to the span; none is empty."""
    for samples, rate, position in decoder.blocks_from(start):
        first = max(round(start * rate) - position, 0)
        stop = None if end is None else max(round(end * rate) - position, 0)
        part = samples[first:stop]
        if len(part):
            if not (part.min() >= -MAX_SAMPLE and part.max() <= MAX_SAMPLE):  # NaN is neither
                place = int((~(np.abs(part) <= MAX_SAMPLE)).any(axis=1).argmax())
                value = np.abs(part[place]).max()
                what = f"{value:.2g} (full scale is 1)" if np.isfinite(value) else NOT_FINITE
                raise AudioError(
                    f"{path}: {what} at {(position + first + place) / rate:.2f} s; "
                    "render it again, or cut that part out"
                )
            yield Block(part, rate, position + first)
        if stop is not None and stop <= len(samples):
            return


def mix(block: np.ndarray) -> np.ndarray:
    """Return the mean over channels, added one by one: ``(frames, channels) -> (frames,)``."""
    if block.shape[1] == 1:
        return np.ascontiguousarray(block[:, 0])
    mono = block[:, 0] + block[:, 1]
    for channel in block.T[2:]:
        mono += channel
    mono /= block.shape[1]
    return mono


def _warn_of_integers(path: AnyPath, peak: float) -> None:
    """Warn of samples that look like integers which nobody divided."""
    if peak > INTEGER_SAMPLE:
        scale = next(bits for bits in (15, 23, 31) if peak <= 2**bits)
        logger.warning(
            "%s: samples reach %.0f, full scale is 1; if they are integers, divide by %d",
            path,
            peak,
            2**scale,
        )


def _check_length(
    path: AnyPath, seconds: float, needed: float, start: float | None, end: float | None
) -> None:
    if seconds >= needed:
        return
    if start and not seconds:
        raise AudioError(f"{path}: ends before the span's start, {start} s; correct the span")
    whole = start is None and end is None
    remedy = "remove it or join it to its neighbour" if whole else "make the span longer"
    raise AudioError(f"{path}: {seconds:.2f} s of audio, need at least {needed:.3f} s; {remedy}")
