import pytest

from hear_aesthetics.atomic import atomic_file, remove_leftovers, write_text


def write_half(path):
    with atomic_file(path) as file:
        file.write(b"half")
        raise RuntimeError


def test_a_file_is_replaced_only_when_it_is_complete(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")
    with pytest.raises(RuntimeError):
        write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with atomic_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    inner = tmp_path / "deep"
    inner.mkdir()
    writer = atomic_file(inner / "x.bin")
    writer.__enter__()  # and is never heard of again
    kept = [inner / "y.bin", tmp_path / "z.partial"]
    for path in kept:
        path.write_bytes(b"1")
    remove_leftovers(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)
