"""The encoder that X-ARES is given, under X-ARES' own check and its own way to find it."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from hear_aesthetics.adapters.xares import VARIABLE, HearAestheticsEncoder

pytestmark = [
    pytest.mark.judges,
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
]
Judge = Callable[[str], ModuleType]


@pytest.fixture(scope="session")
def check(judge: Judge) -> Callable[[torch.nn.Module], bool]:
    return judge("xares.audio_encoder_checker").check_audio_encoder


def test_the_check_accepts_the_bundled_model(check) -> None:
    """Protects the attributes and shapes that X-ARES needs before it downloads anything."""
    assert check(HearAestheticsEncoder("mini")) is True


def test_the_check_accepts_a_model_directory(check, tiny_model_directory: Path) -> None:
    """Protects widths and names that come from the user's own weights."""
    assert check(HearAestheticsEncoder(str(tiny_model_directory))) is True


def test_the_check_refuses_what_is_not_an_encoder(check) -> None:
    """Protects the two tests above against a check that accepts anything."""
    assert check(torch.nn.Identity()) is False


def test_xares_finds_the_class_by_the_path_of_the_documentation(
    judge: Judge, check, monkeypatch: pytest.MonkeyPatch, tiny_model_directory: Path
) -> None:
    """Protects the documented command, which names a path and no model."""
    find = judge("xares.utils").attr_from_py_path
    monkeypatch.setenv(VARIABLE, str(tiny_model_directory))
    found = find("hear_aesthetics/adapters/xares.py", endswith="Encoder")
    assert found is HearAestheticsEncoder
    encoder = found()
    assert encoder.model.name == tiny_model_directory.name
    assert check(encoder) is True
