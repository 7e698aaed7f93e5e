import contextlib
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from hear_aesthetics.checkpoints import CHECKPOINTS, hashes, hub, locate_checkpoint
from hear_aesthetics.errors import CheckpointError, WeightsUnavailableError


def test_a_download_is_whole_cached_and_not_repeated(fake_hub, tiny):
    folder = locate_checkpoint("tiny").folder
    for name, content in fake_hub.files.items():
        assert (folder / name).read_bytes() == content
    assert folder.is_relative_to(hub.cache_folder())
    assert folder.name == tiny.revision
    asked = len(fake_hub.requests)
    assert locate_checkpoint("tiny").folder == folder
    assert locate_checkpoint(tiny.repo).folder == folder
    assert len(fake_hub.requests) == asked


def _persist(record):
    """Download, again if need be: huggingface_hub before 1.0 leaves the next try to the caller."""
    for _ in range(3):
        with contextlib.suppress(WeightsUnavailableError):
            return hub.fetch([record], record.name)[0]
    raise AssertionError("three tries were not enough")


def test_a_broken_connection_is_taken_up_where_it_broke(fake_hub, tiny, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the pause before the hub's retry
    monkeypatch.setattr(hub.constants, "DOWNLOAD_CHUNK_SIZE", 1_000)  # what is written at a time
    fake_hub.cut_after = [10_000, 13_000]  # of weights.bin, the first file asked for
    record = replace(tiny, files=tiny.files[::-1])
    folder = _persist(record)
    assert (folder / "weights.bin").read_bytes() == fake_hub.files["weights.bin"]
    ranges = [span for name, span in fake_hub.downloads() if name == "weights.bin"]
    assert ranges == [None, "bytes=10000-", "bytes=23000-"]


def test_a_download_that_never_completes_leaves_nothing_half_done(fake_hub, tiny, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    fake_hub.cut_after = [len(fake_hub.files["config.json"])] + [0] * 20
    with pytest.raises(WeightsUnavailableError, match="tiny is not on this machine"):
        locate_checkpoint("tiny")
    assert not list(hub.cache_folder().rglob("weights.bin"))
    fake_hub.cut_after.clear()
    assert (locate_checkpoint("tiny").folder / "weights.bin").read_bytes() == fake_hub.files[
        "weights.bin"
    ]


@pytest.mark.parametrize("damage", [lambda b: b[:-1] + b"!", lambda b: b + b"!"])
def test_a_corrupted_download_names_both_hashes_and_is_deleted(fake_hub, tiny, damage):
    intact = fake_hub.files["weights.bin"]
    broken = damage(intact)
    fake_hub.files["weights.bin"] = broken
    with pytest.raises(CheckpointError) as caught:
        locate_checkpoint("tiny")
    message = str(caught.value)
    assert hashlib.sha256(intact).hexdigest() in message
    assert hashlib.sha256(broken).hexdigest() in message
    assert "\n" not in message
    assert not list(hub.cache_folder().rglob("weights.bin"))
    fake_hub.files["weights.bin"] = intact
    assert (locate_checkpoint("tiny").folder / "weights.bin").read_bytes() == intact


def test_a_file_damaged_in_the_cache_is_noticed_and_deleted(fake_hub, tiny):
    weights = locate_checkpoint("tiny").folder / "weights.bin"
    weights.resolve().write_bytes(b"x" * tiny.files[1].size)
    with pytest.raises(CheckpointError, match=r"weights\.bin: expected"):
        locate_checkpoint("tiny")
    assert (locate_checkpoint("tiny").folder / "weights.bin").read_bytes() == fake_hub.files[
        "weights.bin"
    ]


def test_offline_a_damaged_file_is_kept_and_another_way_is_named(fake_hub, tiny, monkeypatch):
    weights = locate_checkpoint("tiny").folder / "weights.bin"
    weights.resolve().write_bytes(b"damaged")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"delete it and .*tiny/ below HEAR_AESTHETICS_"):
            locate_checkpoint("tiny")
        assert weights.read_bytes() == b"damaged"


def test_a_link_that_leaves_the_cache_leads_to_what_is_kept(fake_hub, tiny, tmp_path):
    weights = locate_checkpoint("tiny").folder / "weights.bin"
    own = tmp_path / "own.bin"
    own.write_bytes(b"of the user")
    weights.unlink()
    weights.symlink_to(own)
    with pytest.raises(CheckpointError, match="HEAR_AESTHETICS_HOME"):
        locate_checkpoint("tiny")
    assert weights.read_bytes() == own.read_bytes() == b"of the user"


def test_where_no_hash_is_known_the_hubs_own_is_checked(fake_hub, tiny, monkeypatch):
    unknown = replace(tiny, files=tuple(replace(f, size=None, sha256=None) for f in tiny.files))
    monkeypatch.setitem(CHECKPOINTS, "tiny", unknown)
    seen = []
    monkeypatch.setattr(hub, "_check", lambda path, file, name: seen.append(file.sha256))
    hub.fetch([unknown], "tiny")
    assert seen == [file.sha256 for file in tiny.files]


def test_hashing_happens_once_per_file(fake_hub, tiny, monkeypatch):
    locate_checkpoint("tiny")
    monkeypatch.setattr(hashes.hashlib, "file_digest", None)  # hashing again would raise
    locate_checkpoint("tiny")
    assert (hashes.cache_home() / "hashes.json").is_file()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"revision": "f" * 40}, "404 (RevisionNotFoundError)"),
        ({"repo": "someone/else"}, "404 (RepositoryNotFoundError)"),
    ],
)
def test_what_the_hub_does_not_have_is_said(tiny, change, error, monkeypatch):
    monkeypatch.setitem(CHECKPOINTS, "tiny", replace(tiny, **change))
    with pytest.raises(WeightsUnavailableError, match=re.escape(error)):
        locate_checkpoint("tiny")


def test_a_file_the_hub_does_not_have_is_said(fake_hub, tiny):
    del fake_hub.files["weights.bin"]
    with pytest.raises(WeightsUnavailableError, match="404"):
        locate_checkpoint("tiny")


def test_an_unreachable_hub_says_what_is_missing_and_both_ways_to_get_it(offline_home):
    with pytest.raises(WeightsUnavailableError) as caught:
        locate_checkpoint("muq")
    message = str(caught.value)
    for part in (
        "muq: 1.33 GB, licence CC-BY-NC-4.0",
        "http://127.0.0.1:9 did not deliver",
        "hear-aesthetics models download muq",
        "config.json, model.safetensors in DIR/muq",
        "HEAR_AESTHETICS_HOME=DIR",
    ):
        assert part in message
    assert "\n" not in message


def test_offline_asks_nothing_and_still_finds_the_cache(fake_hub, tiny, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsUnavailableError, match="HF_HUB_OFFLINE is set"):
        locate_checkpoint("tiny")
    assert fake_hub.requests == []
    monkeypatch.delenv("HF_HUB_OFFLINE")
    folder = locate_checkpoint("tiny").folder
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert locate_checkpoint("tiny").folder == folder


def test_what_is_not_on_the_hub_says_where_it_is(offline_home):
    with pytest.raises(WeightsUnavailableError, match=r"github\.com/ASLP-lab.*DIR/songeval"):
        locate_checkpoint("songeval")


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"HF_HOME": "/a"},
        {"HF_HOME": "/a", "HF_HUB_CACHE": "/b"},
        {"HUGGINGFACE_HUB_CACHE": "/c"},
        {"XDG_CACHE_HOME": "/d"},
    ],
)
def test_the_cache_is_where_huggingface_hub_keeps_it(environment, monkeypatch, offline_home):
    monkeypatch.delenv("XDG_CACHE_HOME")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    theirs = subprocess.run(
        [sys.executable, "-c", "from huggingface_hub import constants as c; print(c.HF_HUB_CACHE)"],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(hub.cache_folder()) == theirs.stdout.strip()
