"""A pool of a few rendered clips, and runs so small that they take a second."""

from dataclasses import replace

import pytest

from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.pretraining.config import PretrainingConfig, TargetConfig
from hear_aesthetics.pretraining.data.pool import Pool, open_pool
from tests.hear_aesthetics.pretraining.made_pool import MadePool

TINY_ENCODER = ConformerConfig(dim=16, depth=1, heads=2, ffn_dim=16, conv_channels=4)


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return open_pool(tmp_path_factory.mktemp("audio") / "pool", None, seed=3, clips=6)


@pytest.fixture(scope="session")
def tiny() -> PretrainingConfig:
    return PretrainingConfig(
        source="musicfm",
        steps=6,
        batch=2,
        seconds=0.8,
        warmup=2,
        precision="float32",
        evaluate_every=3,
        held_out_batches=1,
        save_every=2,
        calibration_batches=2,
        targets=TargetConfig(codebooks=2, codes=8, code_dim=4, rvq_steps=4, rvq_frames=32),
        encoder=TINY_ENCODER,
    )


@pytest.fixture(params=["muq", "musicfm"])
def config(request: pytest.FixtureRequest, tiny: PretrainingConfig) -> PretrainingConfig:
    return replace(tiny, source=request.param)


@pytest.fixture
def made_pool(tmp_path_factory: pytest.TempPathFactory) -> MadePool:
    """Twelve clips with labels, the last two held out."""
    return MadePool(tmp_path_factory.mktemp("made"))


@pytest.fixture
def mixed(tiny: PretrainingConfig) -> PretrainingConfig:
    return replace(
        tiny,
        source="muq",
        batch=4,
        objective={"multitask": 1.0, "masked": 0.2},
        encoder=replace(TINY_ENCODER, depth=2),
    )
