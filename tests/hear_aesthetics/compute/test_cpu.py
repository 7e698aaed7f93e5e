"""The processor is asked in one place, and an unknown one gets PyTorch's own functions."""

import pytest
import torch

from heads.layers import linear as heads
from hear_aesthetics.compute import cpu

QUESTIONS = (cpu.onednn_is_faster, cpu.cpu_has_bfloat16, cpu.has_onednn, heads.onednn_is_faster)
ZEN, INTEL = "AuthenticAMD", "GenuineIntel"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Lets a test describe the processor: what the system and what PyTorch says of it."""

    def describe(text: str | None, capability: str = "AVX512", processor: str = "") -> None:
        info = tmp_path / "cpuinfo"
        if text is not None:
            info.write_text(f"processor\t: 0\n{text}\n")
        for module in (cpu, heads):
            monkeypatch.setattr(module, "CPU_INFO", info)
        monkeypatch.setattr(cpu.platform, "processor", lambda: processor)
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
        for question in QUESTIONS:
            question.cache_clear()

    yield describe
    for question in QUESTIONS:
        question.cache_clear()


@pytest.mark.skipif(not cpu.has_onednn(), reason="this build of PyTorch has no oneDNN")
@pytest.mark.parametrize(
    ("vendor", "capability", "bypass"),
    [
        (ZEN, "AVX512", True),
        (ZEN, "AVX2", False),
        (ZEN, "DEFAULT", False),
        (INTEL, "AVX512", False),
        (None, "AVX512", False),
        (None, "NO AVX", False),
    ],
)
def test_mkl_is_bypassed_only_where_it_leaves_half_the_processor_idle(
    machine, vendor, capability, bypass
):
    machine(vendor and f"vendor_id\t: {vendor}", capability)
    assert cpu.onednn_is_faster() is bypass
    assert heads.onednn_is_faster() is bypass


@pytest.mark.parametrize(
    ("flags", "capability", "native"),
    [
        ("amx_tile amx_bf16 avx512_bf16", "AVX512", True),
        ("avx512_bf16", "AVX512", True),
        ("avx512_bf16", "AVX2", False),
        ("amx_tile amx_int8 avx512f avx512_vnni", "AVX512", False),
        (None, "AVX512", False),
    ],
)
def test_bfloat16_is_native_only_where_the_processor_multiplies_it(
    machine, flags, capability, native
):
    machine(flags and f"flags\t\t: fpu {flags}", capability)
    assert cpu.cpu_has_bfloat16() is native


@pytest.mark.skipif(not cpu.has_onednn(), reason="this build of PyTorch has no oneDNN")
@pytest.mark.parametrize(("capability", "takes"), [("AVX512", True), ("AVX2", False)])
def test_onednn_is_not_asked_for_bfloat16_that_it_refuses(machine, capability, takes):
    machine(None, capability)
    assert cpu.onednn_takes_bfloat16() is takes


def test_bfloat16_is_no_use_without_the_library_that_drives_it(machine, monkeypatch):
    machine("flags\t\t: amx_bf16")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not cpu.cpu_has_bfloat16()


def test_a_system_without_a_description_still_has_a_name(machine):
    machine(None, processor="arm")
    assert cpu.model_name() == "arm"
    machine("model name\t: Some Processor")
    assert cpu.model_name() == "Some Processor"
