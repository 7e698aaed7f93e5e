"""The official tools themselves work here, shown on a module that is not ours."""

from pathlib import Path

import pytest

pytestmark = [pytest.mark.official_kit, pytest.mark.slow]


def test_validator_accepts_a_trivial_module(kit, trivial_module: Path) -> None:
    assert "Looks good!" in kit.run("hear-validator", "trivial", path=trivial_module)


def test_runners_score_a_trivial_module(kit, trivial_module: Path, scene_task: Path) -> None:
    embeddings = kit.embed("trivial", scene_task, path=trivial_module)
    scores = kit.predict(embeddings / "textures-1.0.0-test")
    assert scores["test"]["test_top1_acc"] > 0.6
