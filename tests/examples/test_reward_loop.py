"""The example loop gets its rewards from the service, and keeps the best take of each round."""

from importlib import import_module
from pathlib import Path

import pytest
import soundfile

from tests.examples.conftest import EXAMPLES
from tests.songeval_task.service.conftest import serving

pytestmark = pytest.mark.slow
ROUNDS = 2


def test_the_loop_keeps_a_take_per_round_and_moves_the_policy(
    monkeypatch, tmp_path: Path, capsys
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    loop = import_module("reward_loop")
    with serving(tmp_path, "--no-page") as (_, url):
        policy = loop.main(url, tmp_path / "best", rounds=ROUNDS)
    kept = sorted((tmp_path / "best").iterdir())
    assert [soundfile.info(path).duration for path in kept] == [loop.SECONDS] * ROUNDS
    assert sum(policy.values()) == pytest.approx(1)
    assert max(policy.values()) - min(policy.values()) > 0.02
    for line in capsys.readouterr().out.splitlines():  # round 0: mean 2.5, best 2.9
        words = line.replace(",", "").split()
        assert float(words[3]) < float(words[5])
