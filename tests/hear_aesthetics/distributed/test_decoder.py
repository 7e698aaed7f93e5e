"""A file that hangs or kills its decoder costs its own row, and the next file is loaded."""

import pickle
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hear_aesthetics.distributed.decoder import Decoder
from hear_aesthetics.errors import AudioError

WORK = """
import logging, os, time
from dataclasses import dataclass

@dataclass(frozen=True)
class Item:
    path: str

def load(item):
    if item.path == "hangs.wav":
        time.sleep(100)
    if item.path == "kills.wav":
        os.abort()
    if item.path == "warns.wav":
        logging.getLogger("audio").warning("%s: short", item.path)
    if item.path == "fails.wav":
        raise ValueError("no audio")
    return item.path.upper()
"""


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Loads an item by its path in a decoding process that may take two seconds for it."""
    (tmp_path / "decoder_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    import decoder_work

    decoder = Decoder(pickle.dumps(decoder_work.load), seconds=2.0)
    yield lambda path: pickle.loads(decoder.load(pickle.dumps(decoder_work.Item(path))))
    decoder.close()
    del sys.modules["decoder_work"]


@pytest.mark.slow
def test_what_goes_wrong_with_one_file_does_not_reach_the_next(loaded: Any) -> None:
    assert loaded("song.wav").take() == "SONG.WAV"
    assert loaded("warns.wav").warnings == ("warns.wav: short",)
    with pytest.raises(ValueError, match="no audio"):
        loaded("fails.wav").take()
    with pytest.raises(AudioError, match=r"kills.wav: the decoder died of it \(SIGABRT\)"):
        loaded("kills.wav").take()
    begin = time.monotonic()
    with pytest.raises(AudioError, match=r"hangs.wav: loading it took longer than 2 s"):
        loaded("hangs.wav").take()
    assert time.monotonic() - begin < 60
    assert loaded("song.wav").warnings == ()
