"""Paths of the parity fixtures and, where the checkout has it, of the shared real data."""

import shutil
from pathlib import Path

import pytest
import soundfile as sf
import torch

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def golden() -> Path:
    """The committed parity fixtures."""
    assert (GOLDEN / "README.md").is_file(), "tests/golden is missing from this checkout"
    return GOLDEN


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real tasks, real audio and fixtures with published labels; not part of the repository."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside this checkout: real tasks and audio are not available")
    return SHARED


@pytest.fixture(scope="session")
def golden_audio(golden: Path) -> dict[str, torch.Tensor]:
    """The fixtures' 24 kHz inputs by name, each ``(1, samples)`` float32."""
    return {
        path.stem: torch.from_numpy(sf.read(path, dtype="int16")[0]).float()[None] / 32768
        for path in sorted((golden / "audio").glob("*.wav"))
    }


@pytest.fixture(scope="session")
def tiny_model_directory(golden: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory made of the fixtures' tiny checkpoints, in the published layouts."""
    directory = tmp_path_factory.mktemp("models") / "tiny"
    (directory / "muq").mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(golden / "muq_tiny" / name, directory / "muq" / name)
    shutil.copytree(golden / "musicfm_tiny" / "musicfm", directory / "musicfm")
    return directory
