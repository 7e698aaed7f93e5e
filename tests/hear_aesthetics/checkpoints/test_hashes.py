import hashlib
import os

import pytest

from hear_aesthetics.checkpoints import cache_home, hashes, remembered, weight_hash


@pytest.fixture(autouse=True)
def _own_cache(offline_home):
    return offline_home


def test_the_hash_is_sha256_of_the_content(tmp_path):
    (tmp_path / "w").write_bytes(b"abc")
    assert weight_hash(tmp_path / "w") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("content", [b"abd", b"abcd"])
def test_a_changed_file_is_hashed_again(tmp_path, content):
    path = tmp_path / "w"
    path.write_bytes(b"abc")
    weight_hash(path)
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))  # file systems with coarse times would otherwise hide the change
    assert weight_hash(path) == hashlib.sha256(content).hexdigest()


def test_an_unchanged_file_is_hashed_once_even_through_a_link(tmp_path, monkeypatch):
    path = tmp_path / "w"
    path.write_bytes(b"abc")
    (tmp_path / "link").symlink_to(path)
    first = weight_hash(path)
    monkeypatch.setattr(hashes.hashlib, "file_digest", None)  # hashing again would raise
    assert weight_hash(tmp_path / "link") == first


@pytest.mark.parametrize("memory", ["", "not json", "[]", '{"/w": 3}'])
def test_a_damaged_memory_costs_a_hashing_only(tmp_path, memory):
    path = tmp_path / "w"
    path.write_bytes(b"abc")
    cache_home().mkdir(parents=True)
    (cache_home() / "hashes.json").write_text(memory.replace("/w", str(path)))
    assert weight_hash(path) == hashlib.sha256(b"abc").hexdigest()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    path = tmp_path / "w"
    path.write_bytes(b"abc")
    cache_home().parent.mkdir(parents=True)
    cache_home().write_text("a file where the folder should be")
    assert weight_hash(path) == hashlib.sha256(b"abc").hexdigest()


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        weight_hash(tmp_path / "none")


def test_what_was_found_out_is_remembered_by_its_key_and_kind():
    asked = []

    def find_out():
        asked.append(1)
        return ""

    assert [remembered("copies", "a b", find_out) for _ in range(2)] == ["", ""]
    assert len(asked) == 1
    remembered("copies", "a c", find_out)
    remembered("others", "a b", find_out)
    assert len(asked) == 3
    (cache_home() / "copies.json").write_text('{"a b": 3}')
    assert remembered("copies", "a b", find_out) == ""
