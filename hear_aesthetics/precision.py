"""The number format that ``precision="auto"`` means on a device.

bfloat16 pays where the hardware multiplies it in tiles: GPUs with bfloat16 tensor cores and
processors with AMX (measured there: 4.5 times the throughput of float32). Elsewhere it is emulated
or no faster, and float32 is also exact.
"""

import re
from functools import cache
from pathlib import Path

import torch

__all__ = ["auto_precision", "cpu_has_amx"]

CPU_INFO = Path("/proc/cpuinfo")


@cache
def cpu_has_amx() -> bool:
    """Whether the processor has AMX tiles for bfloat16 and PyTorch was built to use them."""
    try:
        flags = CPU_INFO.read_text(encoding="utf-8")
    except OSError:  # not Linux: PyTorch drives the tiles on Linux only
        return False
    return torch.backends.mkldnn.is_available() and bool(re.search(r"\bamx_bf16\b", flags))


def auto_precision(device: torch.device | str = "cpu") -> torch.dtype:
    """``torch.bfloat16`` where ``device`` is faster with it, else ``torch.float32``.

    >>> auto_precision("mps")
    torch.float32
    """
    kind = torch.device(device).type
    if kind == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = kind == "cpu" and cpu_has_amx()
    return torch.bfloat16 if fast else torch.float32
