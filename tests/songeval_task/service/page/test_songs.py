"""Uploads: only files of the upload folder are opened, and they are gone from the disk at once."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from hear_aesthetics.errors import InputError
from songeval_task.service.page.songs import MAX_SONGS, Song, Visit, open_uploads


def sent(path: Path, name: str = "../../etc/song.wav") -> dict[str, str]:
    return {"id": "1", "name": name, "path": str(path)}


def uploaded(folder: Path, content: bytes = b"audio") -> Path:
    path = folder / "hash" / "song"
    path.parent.mkdir()
    path.write_bytes(content)
    return path


def test_an_upload_is_open_while_its_file_is_gone(tmp_path) -> None:
    path = uploaded(tmp_path)
    with open_uploads([sent(path)], tmp_path) as [(song, upload)]:
        assert list(tmp_path.iterdir()) == []
        assert upload.file.read() == b"audio"
        assert song.name == upload.name == "../../etc/song.wav"
    assert upload.file.closed


@pytest.mark.page
def test_songs_without_the_prompt_that_a_head_reads_are_not_scored(tmp_path) -> None:
    from songeval_task.service.page.score_tab import _score

    parts = SimpleNamespace(prompted=["run"], upload_folder=tmp_path)

    async def drop() -> None:
        async for _ in _score(parts, Visit(), [sent(uploaded(tmp_path))], {"prompt": None}):
            pytest.fail("nothing was to be scored")

    # In a thread of its own: Playwright leaves its loop running in this one.
    with ThreadPoolExecutor() as pool, pytest.raises(InputError, match="write below the prompt"):
        pool.submit(asyncio.run, drop()).result()
    assert list(tmp_path.iterdir()) == []


def test_files_elsewhere_are_refused_and_stay(tmp_path) -> None:
    folder, secret = tmp_path / "uploads", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("secret")
    (folder / "link").symlink_to(secret)
    for path in (secret, folder / ".." / "secret", folder / "link", folder):
        with pytest.raises(InputError, match="did not arrive"), open_uploads([sent(path)], folder):
            pass
    assert secret.read_text() == "secret"


@pytest.mark.parametrize(
    "wrong", [None, "path", [None], [{}], [{"id": 1}], [sent(Path("\0"))], [{}] * (MAX_SONGS + 1)]
)
def test_what_is_no_upload_is_refused(tmp_path, wrong) -> None:
    with pytest.raises(InputError), open_uploads(wrong, tmp_path):
        pass


def test_a_visit_ranks_the_songs_that_have_scores() -> None:
    rows = {
        "a": {"status": "ok", "mean": 2.0},
        "b": {"status": "error", "mean": None},
        "c": {"status": "ok", "mean": 3.0},
        "d": {},
    }
    visit = Visit({name: Song(name, name, row) for name, row in rows.items()})
    assert [song.name for song in visit.scored] == ["c", "a"]
    assert visit.rows == [rows["a"], rows["b"], rows["c"]]
    assert [song.name for song in visit.of(["b", "a", "x"])] == ["a"]
