"""Fingerprints: equal for the same thing, and in words where they are not."""

import json
import re

import pytest

from hear_aesthetics.errors import InputError
from hear_aesthetics.fingerprint import check, claim, differences, digest, file_stamp, read_record

MADE = {"layer": 2, "weights": {"muq": "ab"}, "sources": ["muq"]}


def test_equal_content_has_one_digest_whatever_its_order_or_container():
    again = {"sources": ("muq",), "weights": {"muq": "ab"}, "layer": 2}
    assert digest(MADE) == digest(again)
    assert differences(MADE, again) == []


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({**MADE, "layer": 3}, "layer was 2, now 3"),
        ({**MADE, "weights": {"muq": "cd"}}, "weights.muq was ab, now cd"),
        ({**MADE, "delay_ms": 20}, "delay_ms was not recorded, now 20"),
        ({"layer": 2, "weights": {"muq": "ab"}}, "sources was ['muq'], now not recorded"),
        ({**MADE, "layer": None}, "layer was 2, now None"),
    ],
)
def test_a_change_is_said_in_words(other, words):
    assert differences(MADE, other) == [words]
    assert digest(MADE) != digest(other)


def test_none_is_not_the_same_as_absent():
    assert differences({}, {"layer": None}) == ["layer was not recorded, now None"]


def test_an_error_is_one_short_line_with_both_ways_on():
    many = {f"key{i}": "x" * 100 for i in range(9)}
    with pytest.raises(InputError, match=re.escape("--overwrite")) as caught:
        check("out", {}, many)
    line = str(caught.value)
    assert "--out" in line
    assert "and 6 more" in line
    assert "\n" not in line
    assert len(line) < 400


def test_a_claim_is_kept_and_provenance_does_not_decide(tmp_path):
    path = tmp_path / "new" / "run.json"
    assert not claim(path, MADE, {"origin": "hub", "version": "1"})
    assert claim(path, MADE, {"origin": "cache", "version": "2"})
    assert read_record(path)["provenance"] == {"origin": "hub", "version": "1"}
    with pytest.raises(InputError, match="layer was 2, now 3"):
        claim(path, {**MADE, "layer": 3})
    assert read_record(path)["fingerprint"] == MADE


@pytest.mark.parametrize(
    "content",
    ["", "[1]", "{}", '{"fingerprint": 1, "provenance": {}}', "[" * 100_000, '{"layer": 2}'],
)
def test_a_record_that_is_none_is_one_line(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"run\.json: .*--overwrite"):
        claim(path, MADE)
    assert path.read_text() == content


def test_values_that_json_does_not_know_are_compared_as_it_writes_them(tmp_path):
    wanted = {"folder": tmp_path, "pair": (1, 2)}
    claim(tmp_path / "run.json", wanted)
    assert claim(tmp_path / "run.json", wanted)
    assert json.loads((tmp_path / "run.json").read_text())["fingerprint"]["pair"] == [1, 2]


def test_a_record_of_an_earlier_version_is_claimed_under_its_former_keys(tmp_path):
    claim(tmp_path / "run.json", {"model": {"scales": ["track"], "centring": "ab"}})
    assert claim(tmp_path / "run.json", {"model": {"views": ["track"], "standardizer": "ab"}})
    with pytest.raises(InputError, match=r"model\.views was \['track'\], now \['segment'\]"):
        claim(tmp_path / "run.json", {"model": {"views": ["segment"], "standardizer": "ab"}})


def test_a_stamp_changes_with_the_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12")
    before = file_stamp(path)
    assert before == file_stamp(path)
    path.write_bytes(b"123")
    assert file_stamp(path) != before
