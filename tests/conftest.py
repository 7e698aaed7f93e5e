"""Paths of the parity fixtures and, where the checkout has it, of the shared real data."""

from pathlib import Path

import pytest

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
