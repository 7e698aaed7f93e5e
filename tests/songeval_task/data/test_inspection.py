import hashlib

import pytest

from songeval_task.data.inspection import inspect_audio


def test_each_file_has_its_hash_and_length_in_order(tmp_path, write_clip):
    names = [f"{name}.wav" for name in "cab"]
    for number, name in enumerate(names):
        write_clip(tmp_path / name, seconds=0.5 + number, seed=number)
    facts = list(inspect_audio(tmp_path, names))
    assert [fact.name for fact in facts] == names
    assert [fact.seconds for fact in facts] == pytest.approx([0.5, 1.5, 2.5])
    for fact in facts:
        assert fact.sha256 == hashlib.sha256((tmp_path / fact.name).read_bytes()).hexdigest()
        assert fact.error is None


def test_what_cannot_be_read_is_named_and_costs_no_other_file(tmp_path, write_clip):
    write_clip(tmp_path / "good.wav")
    (tmp_path / "page.mp3").write_bytes(b"<!DOCTYPE html><html>404</html>")
    good, page, absent = inspect_audio(tmp_path, ["good.wav", "page.mp3", "absent.mp3"])
    assert good.error is None
    assert "page.mp3: a web page, not audio" in page.error
    assert "absent.mp3: cannot be read" in absent.error
    assert page.seconds == absent.seconds == 0
