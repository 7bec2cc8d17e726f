"""bfloat16 is used only where the processor supports it."""

from __future__ import annotations

import pytest
import torch
from accelerate.state import AcceleratorState

from voicediff.networks import precision
from voicediff.networks.precision import bfloat16
from voicediff.training import trainer


def product_dtype(device: str, wanted: bool) -> torch.dtype:
    with bfloat16(device, wanted):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


@pytest.mark.parametrize("has", [True, False])
def test_autocast_is_entered_where_wanted_and_supported(monkeypatch, has):
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: has)
    assert product_dtype("cpu", wanted=False) == torch.float32
    assert product_dtype("cpu", wanted=True) == (torch.bfloat16 if has else torch.float32)


@pytest.mark.parametrize("has", [True, False])
def test_training_in_bf16_falls_back_to_float32(monkeypatch, has):
    monkeypatch.setattr(trainer, "has_bfloat16", lambda device: has)
    AcceleratorState._reset_state(True)
    try:
        assert trainer.accelerator("bf16").mixed_precision == ("bf16" if has else "no")
    finally:
        AcceleratorState._reset_state(True)


@pytest.mark.parametrize(
    ("avx512", "amx", "has"), [(False, False, False), (True, False, True), (False, True, True)]
)
def test_an_x86_processor_supports_it_with_either_instruction_set(monkeypatch, avx512, amx, has):
    monkeypatch.setattr(precision.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert precision.has_bfloat16.__wrapped__("cpu") is has
