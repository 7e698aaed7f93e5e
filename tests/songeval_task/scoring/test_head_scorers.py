"""Heads by name and by path: the right class, features and columns, or a clear error."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from heads import (
    SONGBENCH_DIMENSIONS,
    AestheticHead,
    AestheticHeadConfig,
    SongEvalBaselineConfig,
    SongEvalBaselineHead,
)
from hear_aesthetics import load_model
from hear_aesthetics.checkpoints import CHECKPOINTS
from hear_aesthetics.errors import CheckpointError, WeightsUnavailableError
from hear_aesthetics.scorers import load_scorer, scorer_names
from songeval_task.dimensions import TRACKS
from songeval_task.features.extraction import fingerprint
from songeval_task.scoring.feature_scorer import load_heads
from songeval_task.scoring.head_scorers import NAMED_HEADS, load_demo, load_head_scorer

ROOT = Path(__file__).parents[3]
FIXTURES = {
    "track1": "hear_head/track1.model.safetensors",
    "track2": "hear_head/track2.model.safetensors",
    "songeval": "songeval_baseline/model.safetensors",
    "songbench": "songeval_baseline/model.safetensors",
}


@pytest.fixture
def offline(monkeypatch, tmp_path) -> Path:
    """Neither hub nor cache; the folder that HEAR_AESTHETICS_HOME names."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HEAR_AESTHETICS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("name", list(FIXTURES))
def test_named_heads_load_from_the_published_file(name, offline, golden) -> None:
    record = CHECKPOINTS[NAMED_HEADS[name]]
    with pytest.raises(WeightsUnavailableError, match=record.name):
        load_head_scorer(name)
    tensors = load_file(golden / FIXTURES[name])
    file = offline / record.name / record.files[0].name
    file.parent.mkdir(parents=True)
    torch.save(tensors, file) if file.suffix == ".pth" else save_file(tensors, file)
    found, scorer = load_head_scorer(name)
    assert found == name
    assert isinstance(scorer.head, AestheticHead if name in TRACKS else SongEvalBaselineHead)
    assert scorer.reads == (("fused",) if name in TRACKS else ("muq_06",))
    assert not scorer.demo
    assert scorer.provenance()["file"] == file.name


def test_the_songbench_head_has_its_own_dimensions(tmp_path) -> None:
    config = SongEvalBaselineConfig(
        dim=16, ffn_dim=16, layers=1, dimensions=SONGBENCH_DIMENSIONS, low=1.0, high=10.0
    )
    saved = SongEvalBaselineHead(config).published_state_dict()
    save_file(saved, tmp_path / "songbench.safetensors")
    name, scorer = load_head_scorer(tmp_path / "songbench.safetensors")
    assert (name, scorer.columns, scorer.reads) == ("songbench", SONGBENCH_DIMENSIONS, ("muq_06",))


def test_saved_heads_are_called_like_their_folder(tmp_path) -> None:
    head = load_demo().head
    folder = head.save_pretrained(tmp_path / "mine", {"reads": "muq_02", "status": "trained"})
    for source in (folder, folder / "model.safetensors"):
        name, scorer = load_head_scorer(source)
        assert (name, scorer.reads, scorer.demo) == ("mine", ("muq_02",), False)


@pytest.mark.parametrize("named_first", [True, False])
def test_of_two_heads_with_one_name_none_is_lost(tmp_path, named_first) -> None:
    folder = str(load_demo().head.save_pretrained(tmp_path / "demo", {"status": "trained"}))
    sources = ["demo", folder] if named_first else [folder, "demo"]
    heads = load_heads(sources, "mini")
    assert list(heads) == sources
    assert heads["demo"].demo
    assert not heads[folder].demo


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'track3' is neither a head.*track1, track2.*nor a file"):
        load_head_scorer("track3")


def test_files_that_hold_no_head_are_refused(tmp_path, golden) -> None:
    with pytest.raises(CheckpointError, match=r"holds no head: .*, AudioboxHead, "):
        load_head_scorer(golden / "mqmhastp" / "a.model.safetensors")
    (tmp_path / "broken.pth").write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match=r"broken\.pth: not a readable"):
        load_head_scorer(tmp_path / "broken.pth")
    with pytest.raises(CheckpointError, match=r"no model\.safetensors in this folder"):
        load_head_scorer(tmp_path)


def test_missing_tensors_are_refused(tmp_path, golden) -> None:
    tensors = load_file(golden / "hear_head" / "track2.model.safetensors")
    tensors.pop("model.fc.bias")
    save_file(tensors, tmp_path / "track.safetensors")
    with pytest.raises(CheckpointError, match=r"model\.fc\.bias"):
        load_head_scorer(tmp_path / "track.safetensors")


def test_the_demo_head_is_an_installed_scorer() -> None:
    assert "demo" in scorer_names()
    assert load_scorer("demo").columns == load_demo().columns


def test_the_demo_head_says_that_its_scores_mean_nothing() -> None:
    scorer = load_demo()
    assert scorer.demo
    assert scorer.provenance()["status"] == "demo"
    card = (ROOT / "songeval_task/weights/demo/README.md").read_text()
    assert "says nothing" in card or "say nothing" in card


def test_the_demo_head_was_trained_on_the_features_of_the_bundled_pair() -> None:
    known = load_demo().provenance()
    assert known["model_sha256"] == load_model("mini").provenance()["weights_sha256"]


@pytest.mark.slow
def test_the_script_makes_a_demo_head_of_a_run(tmp_path) -> None:
    run, made = tmp_path / "run", tmp_path / "demo"
    head = AestheticHead(AestheticHeadConfig(feature_dim=16, projection_dim=32, dim=16, ffn_dim=16))
    model = load_model("mini")
    known = {"features": fingerprint(model, (), "float16"), "training": {"seed": 4}}
    head.save_pretrained(run, {"status": "trained", **known})
    script = ROOT / "scripts" / "make_demo_head.py"
    subprocess.run([sys.executable, str(script), str(run), str(made)], check=True, cwd=ROOT)
    again = AestheticHead.from_pretrained(made)
    assert again.provenance["status"] == "demo"
    assert again.provenance["model_sha256"] == model.provenance()["weights_sha256"]
    for name, tensor in again.state_dict().items():
        torch.testing.assert_close(tensor, head.state_dict()[name], rtol=0, atol=0)


def test_attention_of_frames_sums_to_one_and_spares_the_rest() -> None:
    scorer = load_demo()
    shares = scorer.head.frame_shares(torch.randn(2, 20, scorer.head.feature_dim))
    assert shares.shape == (2, 20)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2))
    assert (shares[:, 18:] == 0).all()  # 20 frames are three whole windows of six
    assert (shares[:, :18] > 0).all()


def test_a_head_of_simulated_ratings_is_a_demo(tmp_path) -> None:
    """Ratings that the program made up teach nothing of what people hear."""
    head, known = load_demo().head, {"status": "trained", "reads": "fused"}
    for ratings, demo in (({}, False), ({"ratings": "simulated"}, True)):
        folder = head.save_pretrained(tmp_path / str(demo), {**known, **ratings})
        assert load_head_scorer(folder)[1].demo is demo
