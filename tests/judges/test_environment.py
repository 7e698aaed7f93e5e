"""The environment of the judges: a judge that cannot be imported would judge nothing."""

from collections.abc import Callable
from types import ModuleType

import pytest
import torch

pytestmark = [pytest.mark.judges, pytest.mark.filterwarnings("default")]

JUDGES = ["mteb", "xares.audio_encoder_checker", "audiobox_aesthetics.infer"]


@pytest.mark.parametrize("name", JUDGES)
def test_judges_can_be_imported(judge: Callable[[str], ModuleType], name: str) -> None:
    """Protects against a lock whose packages install, but do not load beside this torch."""
    assert judge(name)


def test_audio_can_be_decoded(judge: Callable[[str], ModuleType]) -> None:
    """Protects against a torchcodec that finds no FFmpeg, without which datasets read no audio."""
    samples = torch.sin(torch.arange(16_000) / 10)[None]
    encoder = judge("torchcodec.encoders").AudioEncoder(samples, sample_rate=16_000)
    decoder = judge("torchcodec.decoders").AudioDecoder(encoder.to_tensor(format="wav"))
    torch.testing.assert_close(decoder.get_all_samples().data, samples, atol=1e-4, rtol=0)
