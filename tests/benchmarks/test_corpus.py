"""The benchmark of planning keeps what is done, and stays within its memory."""

import json

import pytest

from benchmarks.scoring.corpus import main, measure


@pytest.mark.slow
def test_a_quick_run_keeps_what_is_done(capsys):
    assert main("corpus", measure, ["--quick", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    new, resumed, shard, *songs = printed["rows"]
    assert (new["kept"], new["to do"]) == (0, 20_000)
    assert (resumed["kept"], resumed["to do"]) == (19_800, 200)
    assert 1_000 < shard["to do"] < 1_500
    assert len(songs) == 6
    assert all(printed["targets"].values())
