"""Abilities of this processor; what is unknown counts as "no".

PyTorch says which instructions it uses, on every system. Who made the processor, and whether it
multiplies bfloat16, the system says: on Linux in ``/proc/cpuinfo``.
"""

import platform
import re
from functools import cache
from pathlib import Path

import torch

CPU_INFO = Path("/proc/cpuinfo")


@cache
def onednn_is_faster() -> bool:
    """Return True if float32 matrix products on this processor should bypass MKL."""
    vendor = _fact("vendor_id") or platform.processor()
    return "AuthenticAMD" in vendor and _wide() and has_onednn()


@cache
def has_onednn() -> bool:
    """Return True if this build of PyTorch has the operators that :mod:`.kernels` calls."""
    names = "_linear_pointwise", "_convolution_pointwise", "_convolution_pointwise_"
    return torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.mkldnn, name) for name in names
    )


@cache
def cpu_has_bfloat16() -> bool:
    """Return True if the processor multiplies bfloat16 and PyTorch uses it (Linux only)."""
    native = re.search(r"\b(amx|avx512)_bf16\b", _fact("flags"))
    return native is not None and _wide() and torch.backends.mkldnn.is_available()


def onednn_takes_bfloat16() -> bool:
    """Return True if oneDNN multiplies bfloat16: without AVX-512 it refuses to."""
    return has_onednn() and _wide()


def model_name() -> str:
    """Return the processor's name, as the system gives it."""
    return _fact("model name") or platform.processor() or platform.machine()


def _wide() -> bool:
    """Return True if PyTorch uses AVX-512; ``ATEN_CPU_CAPABILITY`` may forbid it."""
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")


def _fact(name: str) -> str:
    """Return a line of the system's description of the processor; empty where there is none."""
    try:
        text = CPU_INFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = re.search(rf"^{name}\s*: (.+)$", text, re.MULTILINE)
    return found.group(1) if found else ""
