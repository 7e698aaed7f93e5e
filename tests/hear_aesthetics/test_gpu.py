"""The same features on a GPU, in both precisions."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import hear_aesthetics

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


@pytest.fixture(autouse=True)
def exact_products() -> Iterator[None]:
    """TF32 off: it would round float32 operands to 10 bits."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = False
        yield
        torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.parity
@pytest.mark.parametrize("name", ["short", "medium", "long", "tail"])
def test_published_features_are_reproduced_in_float32(
    name, golden, golden_audio, tiny_model_directory
):
    model = hear_aesthetics.load_model(
        str(tiny_model_directory), precision="float32", layer=10, device="cuda"
    )
    expected = load_file(golden / "fused_features" / f"{name}.safetensors")["features"]
    features = model.features(golden_audio[name])
    assert features.device.type == "cuda"
    torch.testing.assert_close(features.cpu(), expected, rtol=1e-4, atol=1e-4)


def test_bfloat16_stays_close_to_float32(golden_audio, tiny_model_directory: Path):
    options = {"layer": 10, "device": "cuda"}
    features = [
        hear_aesthetics.load_model(str(tiny_model_directory), precision=precision, **options)
        .features(golden_audio["long"])
        .cpu()
        for precision in ("float32", "bfloat16")
    ]
    error = (features[1] - features[0]).square().mean().sqrt()
    assert error / features[0].square().mean().sqrt() < 1.5e-2
    assert torch.cosine_similarity(*features, dim=-1).min() > 0.999


def test_no_step_waits_for_the_gpu():
    model = hear_aesthetics.load_model(device="cuda")
    waveform = torch.zeros(1, 40 * 24_000, device="cuda")
    model.features(waveform)
    torch.cuda.set_sync_debug_mode("error")
    try:
        model.features(waveform)
    finally:
        torch.cuda.set_sync_debug_mode("default")
