"""Decoding worker, a process of its own: files in, measured waveforms out, one at a time.

Run by the pool as ``python -m songeval_task.service.decoding.worker DESCRIPTOR BYTES FOLDER``: the
socket to the server, how much memory decoding may take beyond what the process has at its start,
and where it may put a link. It ends when the server does.
"""

import logging
import os
import re
import resource
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import scipy.signal  # noqa: F401 - slow to import: not while the first file waits

from hear_aesthetics.audio.decoding import AUDIO_EXTENSIONS
from hear_aesthetics.audio.measured import MeasuredAudio, measure_audio
from hear_aesthetics.errors import AudioError, HearAestheticsError, TooLongError
from songeval_task.service.decoding.frames import receive_request, send_header

__all__ = ["main"]

STATM = Path("/proc/self/statm")


def main(descriptor: int, memory: int, folder: Path) -> None:
    """Decode what the server sends, until it has gone.

    Args:
        descriptor: Descriptor of the socket to the server.
        memory: Bytes that decoding may take.
        folder: Folder for links, which other workers use too.
    """
    logging.disable()  # of names and contents of what strangers sent
    _limit_memory(memory)
    # Errors of the connection: the server has gone.
    with socket.socket(fileno=descriptor) as channel, suppress(EOFError, ConnectionError):
        send_header(channel, {"ready": os.getpid()})
        while True:
            request, file = receive_request(channel)
            try:
                _answer(channel, folder, request, file)
            finally:
                os.close(file)


def _limit_memory(memory: int) -> None:
    """Limit the address space, where the system tells how much there is; leave no core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if STATM.exists():
        used = int(STATM.read_text().split()[0]) * resource.getpagesize()
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        limit = used + memory if most == resource.RLIM_INFINITY else min(used + memory, most)
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def _answer(channel: socket.socket, folder: Path, request: dict[str, Any], file: int) -> None:
    """Decode a file, which is open, and send its audio or one line on what is wrong with it."""
    name = request["name"]
    try:
        audio = _decode(folder, request, file)
    except MemoryError:
        send_header(channel, {"error": f"{name}: decoding it needs more memory than is allowed"})
    except HearAestheticsError as error:
        send_header(channel, {"error": str(error)})
    except Exception as error:  # noqa: BLE001 - the next file is to be decoded
        text = " ".join(f"{type(error).__name__}: {error}".split())
        send_header(channel, {"error": f"{name}: cannot be decoded ({text}); convert it to wav"})
    else:
        measures = {"loudness_lufs": audio.loudness_lufs, "faults": audio.faults}
        waveforms = audio.waveforms.by_name
        lengths = {name: len(waveform) for name, waveform in waveforms.items()}
        send_header(channel, {"lengths": lengths, **measures})
        for waveform in waveforms.values():
            channel.sendall(waveform.data.cast("B"))


def _decode(folder: Path, request: dict[str, Any], file: int) -> MeasuredAudio:
    """Return the audio of an open file; its errors call the file by the name in the request.

    The decoder takes a path: a link to the descriptor. Of the name only its extension is used, if
    audio files have it, as decoders go by it where the content leaves a doubt.
    """
    suffix = Path(request["name"]).suffix.lower()
    path = folder / f"{os.getpid()}{suffix if suffix in AUDIO_EXTENSIONS else ''}"
    path.symlink_to(f"/dev/fd/{file}")
    try:
        return measure_audio(path, **request["options"])
    except TooLongError:
        seconds = 60 * request["options"]["max_minutes"]
        raise AudioError(
            f"{request['name']}: more than {seconds:g} s of audio; take spans of it, or allow more "
            "(--max-seconds of serve)"
        ) from None
    except HearAestheticsError as error:
        raise type(error)(
            re.sub(re.escape(str(path)), lambda _: request["name"], str(error))
        ) from None
    finally:
        path.unlink()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
