"""Cost of a network: parameters, and multiply-accumulates of an evaluation."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def parameters(module: nn.Module | None) -> int:
    """Number of weights, 0 for no module."""
    return 0 if module is None else sum(weight.numel() for weight in module.parameters())


def macs(call: Callable[[], object]) -> int:
    """Multiply-accumulates of matrix products, convolutions and attention in a call.

    Sums, activations and norms are not counted, as is usual.
    """
    # PyTorch's counter lacks the fused LSTM of CPUs, and fused attention
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.mkldnn_rnn_layer: _lstm_flops}
    )
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), counter:
        call()
    return counter.get_total_flops() // 2


def _lstm_flops(frames, inputs, hidden, *others, out_shape=None, **more) -> int:
    """One layer and direction; shapes of the input (T, B, I) and of both weight matrices."""
    return 2 * frames[0] * frames[1] * (prod(inputs) + prod(hidden))
