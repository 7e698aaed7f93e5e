import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hear_aesthetics import load_model
from hear_aesthetics.backbones import Backbone
from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.pretraining.export import write_encoder, write_model_json

ROOT = Path(__file__).parents[2]
TINY = ConformerConfig(dim=32, depth=2, heads=2, ffn_dim=64, conv_channels=8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pretraining leaves behind."""
    folder = tmp_path_factory.mktemp("run")
    for source in ("musicfm", "muq"):
        torch.manual_seed(len(source))
        write_encoder(folder, source, Backbone(TINY), "tiny")
        (folder / source / "pretraining").mkdir()
        (folder / source / "pretraining" / "README.md").write_text(f"# {source}\n")
        (folder / source / "pretraining" / "log.csv").write_text("step,accuracy\n")
    made = {"musicfm": {"steps": 1}, "muq": {"steps": 2}}
    write_model_json(folder, layer=2, status="trained on synthetic music", provenance=made)
    return folder


@pytest.mark.slow
def test_the_script_bundles_a_run(run: Path, tmp_path: Path) -> None:
    script = str(ROOT / "scripts" / "make_mini.py")
    (run / "muq" / "masked_prediction.safetensors").write_bytes(b"the head")
    options = ("--layer", "1,2", "--pooling", "mean+std", "--standardize", "--out", str(tmp_path))
    subprocess.run([sys.executable, script, str(run), *options], check=True)
    about = json.loads((tmp_path / "hear_aesthetics.json").read_text())
    assert (about["layer"], about["pooling"]) == ([1, 2], "mean+std")
    assert about["delay_ms"] == 0
    assert not list(tmp_path.rglob("masked_prediction*"))
    assert about["status"] == "trained on synthetic music"
    assert about["provenance"]["muq"] == {"steps": 2}
    for source in ("musicfm", "muq"):
        weights = f"{source}/model.safetensors"
        ours, theirs = load_file(tmp_path / weights), load_file(run / weights)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
        assert (tmp_path / source / "README.md").read_text() == f"# {source}\n"
        assert (tmp_path / source / "log.csv").is_file()
    model = load_model(str(tmp_path))
    assert model.standardizer is not None
    assert model.scene_embedding_size == 2 * 2 * 4 * TINY.dim
