"""Streams in one file: the links of an Ogg chain, the parts of joined MP3s.

An MP3 has no table of contents, and a count of its frames only if its encoder left one (Xing). So
the frames are walked through: a part is a run of frames of one rate and channel count, without what
lies around them (covers, tags, zeros), behind a Xing frame whose count is true.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from mmap import mmap

__all__ = ["Part", "is_plain", "mend_wav", "mpeg_parts", "ogg_links"]

_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KBPS_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_IN_A_ROW = 3  # frame headers that follow each other are no chance
_TAG_BYTES = 64  # of a frame in which its Xing tag begins
_VERSION, _LAYER_3 = 19, 1 << 17  # place of the version, value of the layer in a header's 32 bits
_DECODER_DELAY = 529  # samples that decoders cut off
_UNCLOSED = 10  # times more bytes than a size says: the size was never filled in
_CHUNK_NAME = re.compile(rb"[ -~]{4}")
_HEADER_BITS = 0xFFFEFE00  # those that decide the length of a frame


# Header bits -> bytes of the frame, for all frames of layer III.
_FRAME_BYTES = {
    0xFFE00000 | version << _VERSION | _LAYER_3 | kbps << 12 | rate << 10 | padding << 9: (
        (144_000 if version == 3 else 72_000) * speed // hertz + padding
    )
    for version, rates in _RATES.items()
    for rate, hertz in enumerate(rates)
    for kbps, speed in enumerate(_KBPS_1 if version == 3 else _KBPS_2, 1)
    for padding in (0, 1)
}


@dataclass
class Part:
    """Run of MP3 frames of one rate and channel count.

    Attributes:
        header: Of the first frame, 32 bits.
        spans: Byte ranges of the file that hold the frames.
        frames: How many these are.
        tag: The Xing frame before them, if there is one.
        promised: How many frames the tag says there are.
    """

    header: int
    spans: list[list[int]]
    frames: int = 0
    tag: bytes = b""
    promised: int | None = None

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return _RATES[self.header >> _VERSION & 3][self.header >> 10 & 3]

    @property
    def samples(self) -> int:
        """Per channel, before an encoder's padding is cut off."""
        return self.frames * (1152 if self.header >> _VERSION & 3 == 3 else 576)

    @property
    def missing(self) -> int:
        """Samples that the tag promises beyond those that are there."""
        each = self.samples // max(self.frames, 1)
        return max((self.promised or 0) - self.frames, 0) * each

    def content(self, data: "mmap | bytes") -> bytes:
        """Return the part as a file of its own, behind a Xing frame that counts its frames."""
        audio = b"".join(data[begin:end] for begin, end in self.spans)
        if not self.tag:
            return self._made_tag() + audio
        tag = bytearray(self.tag)
        at = max(tag.find(b"Xing"), tag.find(b"Info")) + 4
        tag[at + 4 : at + 8] = self.frames.to_bytes(4, "big")
        if tag[at + 3] & 2:
            tag[at + 8 : at + 12] = (len(tag) + len(audio)).to_bytes(4, "big")
        return bytes(tag) + audio

    def _made_tag(self) -> bytes:
        """Return a Xing frame and a frame of silence.

        Where there is a count, decoders cut off their own delay, which they leave where there is
        none: they are told to cut off the silent frame, and nothing of the others.
        """
        bits = self.header & ~0xF200 | 5 << 12 | 1 << 16  # 64 or 40 kbit/s, no checksum
        version_1, mono = self.header >> _VERSION & 3 == 3, _mono(self.header)
        side = (17 if mono else 32) if version_1 else (9 if mono else 17)
        size = _FRAME_BYTES[bits & _HEADER_BITS]
        silence = bits.to_bytes(4, "big").ljust(size, b"\0")
        count = (self.frames + 1).to_bytes(4, "big")
        delay = self.samples // self.frames - _DECODER_DELAY
        tag = silence[: 4 + side] + b"Xing" + bytes([0, 0, 0, 1]) + count
        tag += b"LAME".ljust(21, b"\0") + (delay << 12).to_bytes(3, "big")
        return tag.ljust(size, b"\0") + silence


def mpeg_parts(data: "mmap | bytes") -> list[Part]:
    """Return the parts of an MP3 in their order; none if it holds no frames of layer III."""
    parts: list[Part] = []
    at, kind = _sync(data, _behind_id3(data, 0)), -1
    while at < len(data):
        header = int.from_bytes(data[at : at + 4], "big")
        size = _FRAME_BYTES.get(header & _HEADER_BITS, 0)
        if not size or (_kind(header) != kind and kind >= 0):
            at, kind = _sync(data, _behind_id3(data, at)), -1
            continue
        if at + size > len(data):
            break
        begins = kind < 0 and not (parts and _kind(parts[-1].header) == _kind(header))
        kind = _kind(header)
        promised = _promise(data[at : at + _TAG_BYTES])
        if promised is not None and (begins or parts[-1].frames):
            parts.append(Part(header, [], tag=data[at : at + size], promised=promised))
        else:
            if begins:
                parts.append(Part(header, []))
            spans = parts[-1].spans
            if spans and spans[-1][1] == at:
                spans[-1][1] = at + size
            else:
                spans.append([at, at + size])
            parts[-1].frames += 1
        at += size
    return [part for part in parts if part.frames]


def is_plain(parts: Sequence[Part], data: "mmap | bytes") -> bool:
    """Return True if libsndfile reads the MP3 of these parts rightly as it is."""
    if len(parts) != 1 or len(parts[0].spans) != 1 or parts[0].promised != parts[0].frames:
        return False
    (begin, end), tag = parts[0].spans[0], len(parts[0].tag)
    tail = data[end : end + 4]
    ends = end == len(data) or (tail[:3] == b"TAG" and len(data) - end == 128)
    return ends and begin - tag == _behind_id3(data, 0)


def ogg_links(data: "mmap | bytes") -> list[tuple[int, int]]:
    """Return the byte ranges of the links of an Ogg file; one for a file that is not chained."""
    starts, at, previous = [0], 0, True
    while (at := data.find(b"OggS\0", at)) >= 0:
        first = bool(data[at + 5 : at + 6] and data[at + 5] & 2)
        if first and not previous:
            starts.append(at)
        previous = first
        at += 27
    return list(zip(starts, [*starts[1:], len(data)], strict=True))


def mend_wav(data: "mmap | bytes") -> bytes:
    """Return a WAV with one data chunk of true size; empty if it has that, or cannot be mended.

    A program that died leaves the size at 0 or at what it first wrote; some write several chunks.
    """
    at, spans, unclosed = 12, [], False
    while at + 8 <= len(data):
        begin, rest = at + 8, len(data) - at - 8
        end = begin + int.from_bytes(data[at + 4 : begin], "little")
        if data[at : at + 4] == b"data":
            follows = any(_CHUNK_NAME.fullmatch(data[i : i + 4]) for i in (end, end + 1))
            if _UNCLOSED * (end - begin) < rest and not follows:
                end, unclosed = len(data), True
            spans.append((begin, end))
        at = end + end % 2
    if len(spans) < 2 and not unclosed:
        return b""
    audio = b"".join(data[begin:end] for begin, end in spans)
    head = data[8 : spans[0][0] - 4] + _size(len(audio))
    return b"RIFF" + _size(len(head) + len(audio)) + head + audio


def _size(number: int) -> bytes:
    return min(number, 0xFFFFFFFF).to_bytes(4, "little")


def _kind(header: int) -> int:
    """Return what all frames of a part share: version, layer, rate, one channel or two."""
    return header & 0xFFFE0C00 | _mono(header)


def _mono(header: int) -> bool:
    return header >> 6 & 3 == 3


def _sync(data: "mmap | bytes", at: int) -> int:
    """Return where the next frames begin, or the end of the data."""
    while (at := data.find(b"\xff", at)) >= 0:
        place, kind = at, -1
        for _ in range(_IN_A_ROW):
            header = int.from_bytes(data[place : place + 4], "big")
            size = _FRAME_BYTES.get(header & _HEADER_BITS, 0)
            if not size or (kind >= 0 and _kind(header) != kind):
                break
            place, kind = place + size, _kind(header)
            if place == len(data):
                return at
        else:
            return at
        at += 1
    return len(data)


def _behind_id3(data: "mmap | bytes", at: int) -> int:
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        a, b, c, d = data[at + 6 : at + 10]
        at += 10 + (a << 21 | b << 14 | c << 7 | d) + (10 if data[at + 5] & 16 else 0)
    return at


def _promise(start: bytes) -> int | None:
    """Return the count of frames in a Xing tag; None if the frame has none."""
    at = max(start.find(b"Xing"), start.find(b"Info"))
    if at < 0 or not start[at + 7] & 1:
        return None
    return int.from_bytes(start[at + 8 : at + 12], "big")
