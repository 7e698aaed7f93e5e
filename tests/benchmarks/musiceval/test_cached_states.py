"""Both ways of the benchmark train the same head on the same states."""

from pathlib import Path

import torch

from benchmarks.musiceval.cached_states import QUICK, Bench, main, measure


def test_both_ways_take_the_same_steps(tmp_path: Path) -> None:
    bench = Bench(QUICK, tmp_path)
    bench.fill_store()
    for head in bench.heads:  # dropout would tell them apart
        for module in head.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            elif hasattr(module, "dropout") and isinstance(module.dropout, float):
                module.dropout = 0.0
    before = bench.heads[0].fused_pooling.scorer.weight.clone()
    for which in (0, 1):
        bench.epoch(which)
    ours, published = (head.state_dict() for head in bench.heads)
    assert not torch.equal(ours["fused_pooling.scorer.weight"], before)
    for name in ours:
        torch.testing.assert_close(ours[name], published[name], rtol=0, atol=1.5e-4)
    assert bench.gap() < 1e-3


def test_quick_run_reports_the_ratio(capsys) -> None:
    assert main("musiceval.cached_states", measure, ["--quick", "--json"]) == 0
    assert '"ratio"' in capsys.readouterr().out
