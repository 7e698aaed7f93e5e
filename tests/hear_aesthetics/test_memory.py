"""Peak memory, measured in processes of their own; sizes are small, the lengths are not."""

import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status"),
]

DIM, HEADS = 128, 2
SCRIPT = f"""
import gc, sys
from pathlib import Path
import torch
from hear_aesthetics.backbones import Backbone
from hear_aesthetics.backbones.conformer import ConformerConfig
from hear_aesthetics.features.fusion import FusedFeatures

def status(key):
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.partition(key + ":")[2].split()[0])

seconds, limit, dtype = int(sys.argv[1]), int(sys.argv[2]), getattr(torch, sys.argv[3])
config = ConformerConfig(dim={DIM}, depth=1, heads={HEADS}, ffn_dim=512, conv_channels=8)
backbone = Backbone(config)
backbone.encoder.prepare(dtype)
fused = FusedFeatures({{"muq": backbone}}, layer=1, track_limit_seconds=limit)
waveform = torch.randn(1, seconds * 24_000)
fused(waveform[:, : 2 * 24_000])
gc.collect()
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
features = fused(waveform)
assert features.shape == (1, seconds * 25, 2 * {DIM})
print(status("VmHWM") - before)
"""


def peak_bytes(seconds: int, limit: int, dtype: str = "float32") -> int:
    command = [sys.executable, "-c", SCRIPT, str(seconds), str(limit), dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_twenty_minutes_need_a_tenth_of_one_attention_matrix(dtype):
    """2.2 GB at the published width; here the waveform and the spectra are most of it."""
    assert peak_bytes(1200, 1200, dtype) < 4 * HEADS * 30_000**2 / 10


def test_memory_beyond_the_limit_grows_by_little_more_than_the_result():
    more = peak_bytes(1200, 120) - peak_bytes(480, 120)
    result, waveform = 4 * 720 * 25 * 2 * DIM, 4 * 720 * 24_000
    assert more < result + waveform / 2
