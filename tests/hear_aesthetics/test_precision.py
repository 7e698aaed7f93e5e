import pytest
import torch

from hear_aesthetics import precision
from hear_aesthetics.precision import auto_precision, cpu_has_bfloat16


@pytest.fixture
def cpu_flags(tmp_path, monkeypatch):
    """Lets a test say what the processor's flags are; None is a system without /proc."""

    def write(flags: str | None) -> None:
        path = tmp_path / "cpuinfo"
        if flags is not None:
            path.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n")
        monkeypatch.setattr(precision, "CPU_INFO", path)
        cpu_has_bfloat16.cache_clear()

    yield write
    cpu_has_bfloat16.cache_clear()


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ("amx_tile amx_bf16 avx512_bf16", torch.bfloat16),
        ("avx512_bf16", torch.bfloat16),
        ("amx_tile amx_int8 avx512f avx512_vnni", torch.float32),
        (None, torch.float32),
    ],
)
def test_a_processor_gets_bfloat16_only_where_it_multiplies_it(cpu_flags, flags, dtype):
    cpu_flags(flags)
    assert auto_precision("cpu") is dtype


def test_amx_is_no_use_without_the_library_that_drives_it(cpu_flags, monkeypatch):
    cpu_flags("amx_bf16")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert auto_precision() is torch.float32


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_gpu_gets_bfloat16_only_where_it_is_not_emulated(native, dtype, monkeypatch):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: native or including_emulation
    )
    assert auto_precision("cuda") is dtype
    assert auto_precision(torch.device("cuda", 1)) is dtype


def test_other_devices_get_float32(cpu_flags):
    cpu_flags("amx_bf16")
    assert auto_precision("mps") is torch.float32
