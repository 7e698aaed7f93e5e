"""The X-ARES encoder: HEAR's timestamp embeddings, at the times X-ARES labels them with."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hear_aesthetics import get_timestamp_embeddings, load_model
from hear_aesthetics.adapters import xares
from hear_aesthetics.adapters.xares import VARIABLE, HearAestheticsEncoder
from hear_aesthetics.errors import InputError

MEMORY = """
from pathlib import Path
import torch
from hear_aesthetics.adapters.xares import HearAestheticsEncoder

def status(key):
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.partition(key + ":")[2].split()[0])

encoder = HearAestheticsEncoder("mini")
audio = 0.1 * torch.randn(1, 600 * encoder.sampling_rate)
with torch.inference_mode():
    encoder(audio[:, :96_000])
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    assert encoder(audio).shape == (1, 15_000, encoder.output_dim)
print(status("VmHWM") - before)
"""


@pytest.fixture(scope="module")
def encoder() -> HearAestheticsEncoder:
    return HearAestheticsEncoder("mini")


def noise(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_the_module_offers_one_encoder() -> None:
    """X-ARES takes the only attribute whose name ends so, and refuses a module with two."""
    assert [name for name in dir(xares) if name.endswith("Encoder")] == ["HearAestheticsEncoder"]


def test_embeddings_are_those_of_hear(encoder: HearAestheticsEncoder) -> None:
    """Protects against a second computation beside that of the HEAR functions."""
    audio = noise(3, 48_000)
    with torch.inference_mode():
        found = encoder(audio)
    expected, times = get_timestamp_embeddings(audio, load_model("mini"))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert found.dtype == torch.float32
    assert times[0].diff().unique().tolist() == [encoder.hop_size_in_ms]


@pytest.mark.parametrize("samples", [1, 1920, 1921, 50_000, 96_000])
def test_there_is_an_embedding_for_every_label(
    encoder: HearAestheticsEncoder, samples: int
) -> None:
    """X-ARES makes ``ceil(seconds / hop)`` labels; of fewer embeddings it would cut labels off."""
    seconds = samples / encoder.sampling_rate
    labels = math.ceil(round(seconds / (encoder.hop_size_in_ms / 1000), 9))
    assert encoder(noise(2, samples)).shape == (2, labels, encoder.output_dim)


def test_each_model_has_a_class_of_its_own(
    encoder: HearAestheticsEncoder, tiny_model_directory: Path
) -> None:
    """X-ARES keeps scores in a folder named by the class: two models must never share one."""
    tiny = HearAestheticsEncoder(str(tiny_model_directory))
    names = {type(one).__name__ for one in (encoder, tiny, HearAestheticsEncoder("mini"))}
    assert len(names) == 2
    assert all(name.isidentifier() and name.endswith("Encoder") for name in names)
    assert isinstance(tiny, HearAestheticsEncoder)


def test_the_environment_names_the_model(
    monkeypatch: pytest.MonkeyPatch, tiny_model_directory: Path
) -> None:
    """X-ARES builds the class without arguments."""
    monkeypatch.setenv(VARIABLE, str(tiny_model_directory))
    assert HearAestheticsEncoder().model.name == tiny_model_directory.name
    monkeypatch.setenv(VARIABLE, "nothing")
    with pytest.raises(InputError, match="'nothing' is neither a variant"):
        HearAestheticsEncoder()
    monkeypatch.delenv(VARIABLE)
    assert HearAestheticsEncoder().model.name == "mini"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_ten_minutes_need_less_than_one_attention_matrix() -> None:
    """X-ARES hands over clips of up to ten minutes, and asks for bounded memory."""
    command = [sys.executable, "-c", MEMORY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 4 * 15_000**2
