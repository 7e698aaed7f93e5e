"""Pickles of plain values, read without running any code that they name."""

import pickle
from pathlib import Path
from typing import Any

__all__ = ["read_plain_pickle"]

NUMPY_SCALARS = {("numpy", "dtype")} | {
    (f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in NUMPY_SCALARS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is neither number nor text")


def read_plain_pickle(path: Path) -> Any:
    """Read numbers, texts, lists, dictionaries and numpy's scalars; refuse everything else.

    Raises:
        OSError: If the file cannot be opened.
        pickle.UnpicklingError: If it is broken, or names anything else.
    """
    with path.open("rb") as file:
        try:
            return _Unpickler(file).load()
        except Exception as error:  # a broken pickle raises whatever its instructions run into
            raise pickle.UnpicklingError(str(error)) from error
