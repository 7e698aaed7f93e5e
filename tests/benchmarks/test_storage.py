import json

import pytest
import torch

from benchmarks.storage import main, measure, scores


def test_a_type_that_loses_everything_would_be_seen():
    features = [torch.full((1, 4, 8), 70_000.0)]

    class Mean(torch.nn.Module):
        def forward(self, one):
            return one.mean(dim=(1, 2), keepdim=False)[:, None]

    exact = scores(Mean(), features, torch.float32)
    assert not torch.allclose(scores(Mean(), features, torch.float16), exact, rtol=1e-3)


@pytest.mark.slow
def test_quick_run_tells_how_far_scores_move(capsys):
    assert main("storage", measure, ["--quick", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["ratio"] == 2
    assert 0 < printed["max_difference"] < 1e-3
    by_type = {}
    for row in printed["rows"]:
        by_type.setdefault(row["stored"], []).append(row["beside the spread"])
    assert max(by_type["float32"]) == 0
    assert max(by_type["float16"]) < max(by_type["bfloat16"])
