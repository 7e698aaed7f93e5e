"""The restated C-Mixup reference is the published computation, and the benchmark runs."""

import json

import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("sklearn")

from benchmarks.cmixup import labels_and_songs, main, measure, published_matrix


@pytest.mark.parity
@pytest.mark.parametrize("case", ["two_labels", "one_label"])
def test_restated_reference_passes_the_golden_fixture(shared, case):
    cases = load_file(shared / "golden" / "cmixup" / "cases.safetensors")
    matrix = published_matrix(cases[f"{case}.labels"], cases[f"{case}.group"])
    torch.testing.assert_close(matrix, cases[f"{case}.probabilities"], rtol=1e-4, atol=1e-7)


def test_labels_look_like_ratings_and_copies_share_them():
    labels, songs = labels_and_songs(50)
    assert labels.shape == (150, 5)
    assert labels.min() >= 1
    assert labels.max() <= 5
    assert torch.equal(labels[songs == 7], labels[21:22].expand(3, -1))


@pytest.mark.slow
def test_quick_run_prints_ratio_and_difference(capsys):
    assert main("cmixup", measure, ["--quick", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["ratio"] > 1
    assert printed["max_difference"] < 1e-4
