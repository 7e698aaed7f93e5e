import json
import re
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from hear_aesthetics import __version__
from hear_aesthetics.checkpoints import CHECKPOINTS, hub, sources
from hear_aesthetics.commands import doctor as module
from hear_aesthetics.commands.doctor import diagnose, doctor


@pytest.fixture(autouse=True)
def _bare_machine(offline_home, monkeypatch):
    monkeypatch.setattr(sources, "BUNDLED", offline_home / "weights")
    (offline_home / "weights" / CHECKPOINTS["mini"].newest).mkdir(parents=True)


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(doctor)
    return lambda *words: CliRunner().invoke(app, words)


def test_json_is_the_whole_diagnosis(run):
    result = run("--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads(json.dumps(diagnose()))


def test_text_shows_every_fact_of_the_diagnosis(run):
    text = run().stdout
    for section, facts in diagnose().items():
        assert section in text
        for name in facts:
            assert f"  {name} " in text
    assert "mini                  bundled: " in text
    assert "large                 not on this machine" in text


def test_versions_are_those_that_run():
    versions = diagnose()["versions"]
    assert versions["hear-aesthetics"] == __version__
    assert torch.__version__.startswith(versions["torch"])  # it may add its build: +cu124
    assert versions["python"].split(".")[0] == "3"
    assert versions["libsndfile"][0].isdigit()


def test_a_missing_package_names_the_extra_that_brings_it(monkeypatch):
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "version", absent)
    report = diagnose()
    assert report["versions"]["av"] == "not installed: extra av"
    assert report["versions"]["transformers"] == "not installed: extra text or audiobox"
    assert report["versions"]["numpy"] == "not installed"
    assert report["extras"]["audiobox"] == "lacks transformers; for --head audiobox"


def test_every_extra_is_known_and_those_that_are_there_say_so(monkeypatch):
    setup = (Path(__file__).parents[3] / "setup.py").read_text(encoding="utf-8")
    extras = set(re.findall(r'^    "(\w+)": \[', setup, re.MULTILINE))
    monkeypatch.setattr(module, "version", lambda name: "1.0")
    facts = diagnose()["extras"]
    assert set(facts) == extras
    assert all(fact.startswith("installed; for ") for fact in facts.values())


def test_a_missing_sound_library_is_told_not_raised(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)  # importing it raises ImportError
    assert diagnose()["versions"]["libsndfile"].startswith("cannot be loaded")


def test_the_precision_shown_is_the_one_that_auto_picks(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for native, dtype in ((True, "bfloat16"), (False, "float32")):
        for place in ("cpu", "precision"):
            question = f"hear_aesthetics.compute.{place}.cpu_has_bfloat16"
            monkeypatch.setattr(question, lambda native=native: native)
        report = diagnose()
        assert report["precision"] == {"cpu": dtype, "default_device": "cpu"}
        assert report["devices"]["native_bfloat16"] is native


def test_every_gpu_is_shown_with_its_memory(monkeypatch):
    class Card:
        name = "Some GPU"
        total_memory = 85_000_000_000

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Card)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    report = diagnose()
    assert report["devices"]["cuda:1"] == "Some GPU, 85 GB"
    assert "cuda" not in report["devices"]
    assert report["precision"]["cuda"] == "bfloat16"
    assert report["precision"]["default_device"] == "cuda"


def test_every_checkpoint_is_placed_and_its_use_is_stated(tiny, fake_hub):
    hub.fetch([tiny], "tiny")
    report = diagnose()
    assert list(report["weights"]) == list(CHECKPOINTS)
    assert report["weights"]["tiny"]["origin"] == "cache"
    stated = [name for names in report["commercial_use"].values() for name in names]
    assert sorted(stated) == sorted(CHECKPOINTS)
    assert "muq" in report["commercial_use"]["not_allowed"]


def test_a_broken_copy_is_told_not_raised(tiny, tmp_path, monkeypatch, run):
    monkeypatch.setenv("HEAR_AESTHETICS_HOME", str(tmp_path))
    (tmp_path / "tiny").mkdir()
    result = run()
    assert result.exit_code == 0
    assert "tiny lacks config.json, weights.bin" in result.stdout


def test_folders_and_network_are_those_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    report = diagnose()
    assert report["folders"]["hub_cache"] == str(tmp_path / "hub")
    assert report["folders"]["hear_aesthetics_home"] is None
    assert report["network"] == {"hub": "https://mirror.example", "offline": True}
