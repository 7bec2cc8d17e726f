"""Counted costs against values computed by hand."""

import pytest
import torch
from torch import nn

from voicediff.networks.cost import macs, parameters


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Linear(64, 32), (2, 50, 64), 2 * 50 * 64 * 32),
        (nn.Conv2d(3, 8, 3, padding=1), (2, 3, 10, 20), 2 * 8 * 3 * 9 * 10 * 20),
        (nn.GRU(64, 32, batch_first=True), (2, 50, 64), 2 * 50 * 3 * 32 * (64 + 32)),
        (nn.LSTM(64, 32, batch_first=True), (2, 50, 64), 2 * 50 * 4 * 32 * (64 + 32)),
    ],
)
def test_macs_are_those_of_the_formula(layer, shape, expected):
    assert macs(lambda: layer(torch.randn(shape))) == expected


def test_attention_is_two_products():
    q = torch.randn(1, 2, 10, 16)
    found = macs(lambda: nn.functional.scaled_dot_product_attention(q, q, q))
    assert found == 2 * 2 * 10 * 10 * 16


def test_no_module_has_no_parameters():
    assert parameters(nn.Linear(3, 4)) == 16 and parameters(None) == 0
