"""Number format of ``precision="auto"`` on a device, and the devices of this machine.

bfloat16 pays where the hardware multiplies it natively: GPUs with bfloat16 tensor cores, processors
with AMX tiles (4.5 times the matrix products of float32) or AVX-512 BF16 (2.1 times on an AMD EPYC
of the Zen 5 generation). Elsewhere it is emulated or no faster, and float32 is also exact.
"""

import torch

from hear_aesthetics.compute.cpu import cpu_has_bfloat16
from hear_aesthetics.errors import InputError

__all__ = ["PRECISIONS", "auto_precision", "exactly", "usable_device"]

PRECISIONS = {"auto": None, "float32": torch.float32, "bfloat16": torch.bfloat16}


def auto_precision(device: torch.device | str = "cpu") -> torch.dtype:
    """Return ``torch.bfloat16`` where ``device`` is faster with it, else ``torch.float32``.

    >>> auto_precision("mps")
    torch.float32
    """
    kind = torch.device(device).type
    if kind == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = kind == "cpu" and cpu_has_bfloat16()
    return torch.bfloat16 if fast else torch.float32


def exactly(device: torch.device) -> torch.autocast:
    """Return a context in which a caller's ``torch.autocast`` changes no number format."""
    return torch.autocast(device.type, enabled=False)


def usable_device(name: str | torch.device | None = None) -> torch.device:
    """Return the device of a name; for None a GPU if there is one, else the processor.

    Raises:
        InputError: If there is no such device; says what this machine has.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name is None:
        return torch.device("cuda" if count else "cpu")
    try:
        device = torch.device(name)
        if device.type == "cuda":
            usable = (device.index or 0) < count
        else:
            usable = torch.empty(0, device=device).device.type != "meta"
    except (RuntimeError, AssertionError, NotImplementedError, ImportError):
        usable = False
    if not usable:
        here = ", ".join(["cpu", *(f"cuda:{index}" for index in range(count))])
        raise InputError(f"device {str(name)!r} is not on this machine; it has {here}")
    return device
