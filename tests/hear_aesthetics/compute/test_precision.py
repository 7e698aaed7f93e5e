import pytest
import torch

from hear_aesthetics.compute import precision
from hear_aesthetics.compute.precision import auto_precision


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_processor_gets_bfloat16_only_where_it_multiplies_it(native, dtype, monkeypatch):
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: native)
    assert auto_precision("cpu") is dtype
    assert auto_precision("mps") is torch.float32


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_gpu_gets_bfloat16_only_where_it_is_not_emulated(native, dtype, monkeypatch):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: native or including_emulation
    )
    assert auto_precision("cuda") is dtype
    assert auto_precision(torch.device("cuda", 1)) is dtype
