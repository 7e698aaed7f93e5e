"""Micro-batches and processes: the same head, whoever computes what."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from hear_aesthetics.compute.processes import Processes
from hear_aesthetics.errors import InputError
from musiceval_task.training.inference import Example, apply_head
from musiceval_task.training.loop import TrainingConfig, fit
from musiceval_task.training.members import EnsembleMember

TRAINING = ["--epochs", 3, "--batch-size", 4, "--micro-batch", 2, "--lr", "1e-3"]
WITHOUT_DROPOUT = EnsembleMember(
    "without-dropout", seed=1, target="gaussian", variant={"dropout": 0.0}
)


def examples(count: int) -> list[Example]:
    """Clips and prompts of unequal lengths."""
    generator = torch.Generator().manual_seed(0)
    scores = 1 + 4 * torch.rand(count, 2, generator=generator)
    return [
        Example(
            torch.randn(5 + row % 4, 16, generator=generator),
            torch.randn(2 + row % 3, 8, generator=generator),
            (float(scores[row, 0]), float(scores[row, 1])),
        )
        for row in range(count)
    ]


def test_micro_batches_are_the_batch_but_for_dropout() -> None:
    """Weights agree but for biases of scorers and keys, which no softmax sees."""
    heads, scores = [], []
    for size in (None, 3):
        config = TrainingConfig(epochs=2, batch_size=8, learning_rate=1e-3, micro_batch=size)
        found = fit(WITHOUT_DROPOUT, config, examples(20), examples(4), list("ABAB"), device="cpu")
        heads.append(found.head.state_dict())
        scores.append(apply_head(found.head, examples(9))[0])
    gaps = {name: (heads[1][name] - heads[0][name]).abs().max() for name in heads[0]}
    moved = [name for name, gap in gaps.items() if gap >= 1e-5]
    assert all(name.endswith(("scorer.bias", "qkv.bias")) for name in moved), moved
    assert scores[1] == pytest.approx(scores[0], abs=1e-5)


def test_the_published_recipe_and_whole_batches_are_not_shared() -> None:
    two = Processes(0, 2)
    with pytest.raises(InputError, match="take --micro-batch 16"):
        TrainingConfig().check_share(two)
    with pytest.raises(InputError, match=r"published recipe .* train in one process"):
        TrainingConfig(recipe="published").check_share(two)
    with pytest.raises(InputError, match="no micro-batches"):
        TrainingConfig(recipe="published", micro_batch=4)
    TrainingConfig(micro_batch=16).check_share(two)


@pytest.mark.slow
def test_two_processes_end_as_one_does(small_set: Path, roberta: Path, tmp_path, run_in) -> None:
    """The whole command, with dropout: encoding, training, selection and prediction.

    A weight whose gradient is nothing but rounding moves by a step of Adam in whichever direction.
    """
    for processes, name in ((1, "one"), (2, "two")):
        member = ["--member", "one-hot", "--model", "mini", "--text", roberta]
        out = tmp_path / name
        said = run_in(
            ["musiceval", "train", small_set, "--out", out, *member, *TRAINING], processes
        )
        assert said.count("best epoch") == 1, said
    one, two = (tmp_path / name / "one-hot" for name in ("one", "two"))
    assert sorted(p.name for p in one.iterdir()) == sorted(p.name for p in two.iterdir())
    logs = [pd.read_csv(run / "log.csv") for run in (one, two)]
    pd.testing.assert_frame_equal(*logs, rtol=1e-4)
    scores = [pd.read_parquet(run / "predictions.parquet") for run in (one, two)]
    for column in scores[0].select_dtypes("number"):
        assert scores[1][column].to_numpy() == pytest.approx(
            scores[0][column].to_numpy(), abs=1e-5, nan_ok=True
        )
    first, second = (load_file(run / "model.safetensors") for run in (one, two))
    gaps = torch.cat([(first[name] - second[name]).abs().flatten() for name in first])
    assert (gaps < 1e-5).float().mean() > 0.999
