import json
import os
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from hear_aesthetics.checkpoints import CHECKPOINTS, hub, sources
from hear_aesthetics.commands.models import app
from hear_aesthetics.errors import CheckpointError, WeightsUnavailableError


@pytest.fixture
def run(offline_home, monkeypatch):
    """Runs the command as it would be where nothing but a bundled ``mini`` is present."""
    bundled = offline_home / "weights" / CHECKPOINTS["mini"].newest
    bundled.mkdir(parents=True)
    (bundled / "model.safetensors").write_bytes(b"x" * 1_500)
    monkeypatch.setattr(sources, "BUNDLED", bundled.parent)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_the_list_has_a_whole_row_for_every_checkpoint(run):
    lines = run("list").stdout.splitlines()[1:]
    rows = {line.split()[0]: line for line in lines}
    assert list(rows) == list(CHECKPOINTS)
    assert rows["muq"].split() == ["muq", "1.33", "GB", "CC-BY-NC-4.0", "no", "published", "-"]
    said = rows["mini"].split(maxsplit=5)
    assert said[:5] == ["mini", "1.5", "kB", "Apache-2.0", "yes"]
    assert said[5].split() == ["trained", "on", "rendered", "audio", "bundled"]
    assert "unknown" in rows["musicfm-msd"]


def test_without_a_subcommand_the_list_is_shown(run):
    assert run().stdout == run("list").stdout


def test_the_list_as_json_keeps_types(run):
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows["large"]["commercial"] is False
    assert rows["musicfm-msd"]["commercial"] is None
    assert rows["mini"]["origin"] == "bundled"
    assert rows["large"]["size"] == rows["muq"]["size"] + rows["musicfm-msd"]["size"]
    assert rows["hear-track2"]["size"] is None


def test_a_broken_copy_is_a_row_not_an_error(run, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HEAR_AESTHETICS_HOME", str(tmp_path))
    (tmp_path / "tiny").mkdir()
    result = run("list")
    assert result.exit_code == 0
    assert "tiny lacks config.json, weights.bin" in result.stdout


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_info_shows_licence_files_and_hashes(run, name):
    record = CHECKPOINTS[name]
    text = run("info", name).stdout
    assert record.weights_licence in text
    assert record.fair in text
    for file in record.files:
        assert file.name in text
        assert (file.sha256 or "sha256 unknown") in text
    assert ("revision          unknown" in text) == bool(record.repo and not record.revision)


def test_info_as_json_holds_the_whole_record(run):
    facts = json.loads(run("info", "muq", "--json").stdout)
    assert facts["revision"] == CHECKPOINTS["muq"].revision
    assert facts["files"][1]["size"] == 1_333_825_096
    assert facts["folders"] == []


@pytest.mark.parametrize("command", ["info", "download"])
def test_an_unknown_name_is_wrong_usage(run, command):
    result = run(command, "nope")
    assert result.exit_code == 2
    assert "musicfm-msd" in result.stderr


def test_a_download_says_where_the_files_are(run, tiny, fake_hub):
    result = run("download", "tiny")
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    assert line.startswith(f"tiny: {hub.cache_folder()}")
    assert "cache" in run("list").stdout


def test_a_pair_downloads_as_its_parts(run, tiny, fake_hub, tmp_path, monkeypatch):
    for part in ("muq", "musicfm-msd"):
        files = tiny.files if part == "muq" else tiny.files[:1]
        small = replace(CHECKPOINTS[part], files=files, repo=tiny.repo, revision=tiny.revision)
        monkeypatch.setitem(CHECKPOINTS, part, small)
    result = run("download", "large", "--to", tmp_path / "usb")
    assert result.exit_code == 0
    laid_out = {str(p.relative_to(tmp_path / "usb")) for p in (tmp_path / "usb").rglob("*.*")}
    assert laid_out == {"muq/config.json", "muq/weights.bin", "musicfm-msd/config.json"}


def test_downloads_laid_out_in_a_folder_work_as_home(run, tiny, fake_hub, tmp_path, monkeypatch):
    result = run("download", "tiny", "--to", tmp_path / "usb")
    assert f"HEAR_AESTHETICS_HOME={tmp_path / 'usb'}" in result.stdout
    written = {path.name: path.read_bytes() for path in (tmp_path / "usb" / "tiny").iterdir()}
    assert written == fake_hub.files
    monkeypatch.setenv("HEAR_AESTHETICS_HOME", str(tmp_path / "usb"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "another machine"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    facts = json.loads(run("download", "tiny", "--json").stdout)
    assert facts == {"tiny": str(tmp_path / "usb" / "tiny")}


def test_laying_out_works_without_hard_links(run, tiny, fake_hub, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    run("download", "tiny", "--to", tmp_path / "usb")
    written = (tmp_path / "usb" / "tiny" / "weights.bin").read_bytes()
    assert written == fake_hub.files["weights.bin"]


def test_a_failed_download_raises_what_the_command_line_prints(run, tiny, fake_hub):
    fake_hub.files["weights.bin"] = b"damaged"
    result = run("download", "tiny")
    assert result.exit_code == 1
    assert isinstance(result.exception, CheckpointError)
    missing = run("download", "large").exception
    assert isinstance(missing, WeightsUnavailableError)
    assert "muq: 1.33 GB" in str(missing)
    assert "musicfm-msd: 1.32 GB" in str(missing)


def test_the_bundled_model_needs_no_download(run):
    result = run("download", "mini")
    assert result.exit_code == 0
    assert "nothing to download" in result.stdout
