"""The restated published step of the training benchmark computes what the fixtures hold."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.training import PublishedStep, main, measure
from heads import AestheticHead


@pytest.mark.parity
@pytest.mark.parametrize("track", [1, 2])
def test_restated_step_passes_the_golden_fixture(golden, track):
    prefix = str(golden / "hear_head" / f"track{track}")
    config = AestheticHead.from_pretrained(f"{prefix}.model.safetensors").config
    head = PublishedStep(config)
    head.load_state_dict(load_file(f"{prefix}.model.safetensors"))
    data = load_file(f"{prefix}.train.safetensors")
    expected = json.loads(Path(f"{prefix}.train.json").read_text())
    labels = torch.stack((data["labels_1"], data["labels_2"]))
    for weight, values in expected["by_rank_weight"].items():
        head.zero_grad()
        songs = data["features_1"], data["features_2"]
        loss = head.loss(*songs, labels, expected["mixup_lambda"], float(weight))
        loss.backward()
        assert loss.item() == pytest.approx(values["total_loss"], rel=1e-4, abs=1e-5)
        norms = {name: float(p.grad.norm()) for name, p in head.named_parameters()}
        assert norms == pytest.approx(values["grad_norm_per_parameter"], rel=1e-3, abs=1e-6)


@pytest.mark.slow
def test_quick_run_prints_ratio_and_difference(capsys):
    assert main("training", measure, ["--quick", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["ratio"] > 0
    assert printed["max_difference"] < 1e-3
