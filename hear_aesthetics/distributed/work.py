"""Work that is shared among machines: what loads an item, and what computes loaded ones."""

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hear_aesthetics.errors import InputError
from hear_aesthetics.fingerprint import SHOWN, differences

if TYPE_CHECKING:
    from hear_aesthetics.engine.inference import Result

__all__ = ["Compute", "LoadedItem", "Work", "check_same", "picklable"]


@dataclass(frozen=True)
class LoadedItem:
    """An item with what was loaded of it, or the error instead.

    Attributes:
        item: As it was given; has a ``path``, for messages.
        value: What ``Work.load`` made of it.
        error: What it raised.
        warnings: Lines that it logged.
    """

    item: Any
    value: Any = None
    error: Exception | None = None
    warnings: tuple[str, ...] = ()

    @property
    def path(self) -> Any:
        """File, for messages."""
        return self.item.path

    def take(self) -> Any:
        """Return what was loaded, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value


class Compute(Protocol):
    """Results of loaded items, in their order."""

    def __call__(self, items: Sequence[LoadedItem]) -> "Iterator[Result[Any]]":
        """Yield the result of each item, its ``output`` such that it can be pickled."""


class Work(Protocol):
    """Work on items; pickled to where it is done, so that it holds names and paths, no models."""

    @property
    def load(self) -> Callable[[Any], Any]:
        """What loads one item, in a process of its own; pickled without the rest of the work."""

    def open(self, device: str) -> Compute:
        """Load the model on a device, once in each process that computes."""


def check_same(here: Mapping[str, Any], there: Mapping[str, Any]) -> None:
    """Check that a node computes what the machine that started the run would.

    Raises:
        InputError: If fingerprints differ, perhaps because processors or versions do.
    """
    if changed := differences(here, there):
        raise InputError(
            f"a node of the cluster computes otherwise ({'; '.join(changed[:SHOWN])}); name "
            "--precision, and install the same version and weights everywhere"
        )


def picklable(error: Exception) -> Exception:
    """Return an error without its traceback, or its text where it cannot be pickled."""
    bare = error.with_traceback(None)
    try:
        pickle.loads(pickle.dumps(bare))
    except Exception:  # noqa: BLE001 - whatever its constructor needs
        return RuntimeError(f"{type(error).__name__}: {error}")
    return bare
