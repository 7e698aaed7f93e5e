"""Other benchmarks and original models, which run our code, or whose numbers ours have to meet.

They need packages that hear-aesthetics does not, so they live in ``.venv-judges``, where
``make judges`` runs these tests. A test file marks itself
``[pytest.mark.judges, pytest.mark.filterwarnings("default")]``: what those packages warn of is not
ours to mend.
"""

import os
import warnings
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def judge() -> Callable[[str], ModuleType]:
    """Import a judge by its dotted name; skip without it, fail where ``make judges`` needs it."""

    def load(name: str) -> ModuleType:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return import_module(name)
            except ImportError as error:
                message = f"{name} cannot be imported ({error}): run `make judges`"
        return (pytest.fail if os.environ.get("JUDGES") == "required" else pytest.skip)(message)

    return load
