"""Songs in a folder, and the same songs in containers."""

import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

NAMES = ("a.wav", "deep/b.flac", "deep/c.ogg", "d.mp3")


@pytest.fixture
def songs(tmp_path, write_tone, monkeypatch) -> Path:
    """A folder of four songs in the working directory."""
    for number, name in enumerate(NAMES):
        write_tone(tmp_path / "songs" / name, frequency=220.0 * (number + 1), channels=2)
    monkeypatch.chdir(tmp_path)
    return Path("songs")


def audio_table(songs: Path, **columns: list) -> pa.Table:
    """The songs as Hugging Face ``datasets`` writes them, with further columns."""
    audio = [{"bytes": (songs / name).read_bytes(), "path": name} for name in NAMES]
    return pa.table({"audio": audio, **columns})


@pytest.fixture
def parquet(songs) -> Path:
    """The songs in two row groups."""
    table = audio_table(songs, prompt=["calm", "loud", None, ""], number=[1, 2, 3, 4])
    pq.write_table(table, "songs.parquet", row_group_size=3)
    return Path("songs.parquet")


def write_tar(path: Path, songs: Path, beside: dict[str, object] | None = None) -> Path:
    """The songs as WebDataset packs them, a JSON object beside each."""
    with tarfile.open(path, "w") as tar:
        for name in NAMES:
            tar.add(songs / name, name)
            text = json.dumps({"prompt": f"like {name}", **(beside or {})}).encode()
            member = tarfile.TarInfo(f"{name.rpartition('.')[0]}.json")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return path


@pytest.fixture
def tar(songs) -> Path:
    return write_tar(Path("songs.tar"), songs, {"year": 1999})
