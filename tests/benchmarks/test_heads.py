"""The restated reference of the head benchmark is the published head."""

import json

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.heads import PublishedHead, main, measure
from heads import AestheticHead


@pytest.mark.parity
@torch.no_grad()
@pytest.mark.parametrize("track", [1, 2])
def test_restated_reference_passes_the_golden_fixture(golden, track):
    folder = golden / "hear_head"
    published = load_file(folder / f"track{track}.model.safetensors")
    config = AestheticHead.from_pretrained(folder / f"track{track}.model.safetensors").config
    head = PublishedHead(config).eval()
    head.load_state_dict(published)
    features = load_file(folder / "features.safetensors")
    outputs = load_file(folder / f"track{track}.outputs.safetensors")
    cases = [name.removesuffix(".pooled") for name in outputs if name.endswith(".pooled")]
    assert cases
    for case in cases:
        expected = outputs[f"{case}.scores"]
        torch.testing.assert_close(head(features[case]), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_quick_run_prints_ratio_and_difference(capsys):
    assert main("heads", measure, ["--quick", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["ratio"] > 0
    assert printed["max_difference"] < 1e-4
