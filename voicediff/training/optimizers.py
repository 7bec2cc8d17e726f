"""Optimizers by name. Weight decay acts on matrices and kernels, not on biases, norms and gains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from voicediff.networks.precision import has_bfloat16
from voicediff.registry import register


@register("optimizer", "adamw")
def adamw(
    parameters: list[nn.Parameter],
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019); the default choice."""
    return torch.optim.AdamW(
        _groups(parameters, weight_decay), lr=lr, betas=betas, eps=eps, fused=True
    )


@register("optimizer", "adam")
def adam(
    parameters: list[nn.Parameter],
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015), as in most published recipes."""
    return torch.optim.Adam(parameters, lr=lr, betas=betas, eps=eps, fused=True)


@register("optimizer", "sgd")
def sgd(
    parameters: list[nn.Parameter],
    lr: float = 1e-2,
    momentum: float = 0.9,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum."""
    return torch.optim.SGD(
        _groups(parameters, weight_decay), lr=lr, momentum=momentum, nesterov=nesterov
    )


@register("optimizer", "muon")
def muon(
    parameters: list[nn.Parameter],
    lr: float = 2e-3,
    momentum: float = 0.95,
    weight_decay: float = 0.01,
    adam_lr: float | None = None,
    betas: tuple[float, float] = (0.9, 0.99),
    max_side: int | None = None,
) -> torch.optim.Optimizer:
    """Orthogonalised momentum for matrices and kernels (Jordan et al. 2024), AdamW for the rest.

    Kernels count as matrices (out, in x window). Updates are scaled to AdamW's size (Liu et al.
    2025), so both use the same learning rate; `adam_lr` sets another for the rest. Matrices whose
    shorter side is above `max_side` are updated by AdamW: orthogonalising costs side^2 times the other
    side, on a CPU more than the gradient does.
    """

    def is_matrix(p: nn.Parameter) -> bool:
        return p.dim() >= 2 and (max_side is None or min(len(p), p.numel() // len(p)) <= max_side)

    matrices = [p for p in parameters if is_matrix(p)]
    rest = [p for p in parameters if not is_matrix(p)]
    return MuonAndAdam(
        matrices, rest, lr, lr if adam_lr is None else adam_lr, momentum, weight_decay, betas
    )


Optimizer = torch.optim.Optimizer

STEPS = 5  # of the Newton-Schulz iteration, and its coefficients
LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315
_TINY = 1e-7


class MuonAndAdam(torch.optim.Optimizer):
    """`Muon` on flattened views of the matrices, AdamW on the rest, as one optimizer."""

    def __init__(
        self,
        matrices: list[nn.Parameter],
        rest: list[nn.Parameter],
        lr: float,
        adam_lr: float,
        momentum: float,
        weight_decay: float,
        betas: tuple[float, float],
    ):
        self.matrices = matrices
        self.views = [nn.Parameter(_flat(p.detach(), p)) for p in matrices]
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            self.parts.append(Muon(self.views, lr, momentum, weight_decay))
        if rest:
            self.parts.append(
                torch.optim.AdamW(rest, lr=adam_lr, betas=betas, weight_decay=0.0, fused=True)
            )
        super().__init__([*matrices, *rest], {})
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for matrix, view in zip(self.matrices, self.views, strict=True):
            view.grad = None if matrix.grad is None else _flat(matrix.grad, matrix)
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in [*self.matrices, *(p for part in self.parts for p in _all(part))]:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised (Jordan et al. 2024), for matrices (rows, columns).

    Equivalent to `torch.optim.Muon`, which processes one matrix after the other in bfloat16; without
    bfloat16 instructions that takes longer than the rest of a step. Here matrices of one shape (on
    CPUs, of equal numbers of rows) are orthogonalised together, on CPUs in float32.
    An update's root mean square is 0.2 lr, as large as AdamW's (Liu et al. 2025).
    """

    def __init__(
        self, parameters: list[nn.Parameter], lr: float, momentum: float, weight_decay: float
    ):
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._update(parameters, group)

    def _update(self, parameters: list[nn.Parameter], group: dict) -> None:
        gradients = [parameter.grad for parameter in parameters]
        means = [self._momentum(parameter) for parameter in parameters]
        torch._foreach_lerp_(means, gradients, 1 - group["momentum"])
        updates = orthogonal(torch._foreach_lerp(gradients, means, group["momentum"]))
        sizes = [-0.2 * group["lr"] * max(parameter.shape) ** 0.5 for parameter in parameters]
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, torch._foreach_mul(updates, sizes))

    def _momentum(self, parameter: nn.Parameter) -> torch.Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return state["momentum_buffer"]


def orthogonal(matrices: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """U V^T for matrices (rows, columns) with singular value decomposition U S V^T, approximately.

    Five steps of the quintic Newton-Schulz iteration that is tuned for its slope at 0 (Jordan et al.
    2024): singular values end between about 0.7 and 1.2.
    """
    on_gpu = matrices[0].is_cuda and has_bfloat16("cuda")
    wide = [x if len(x) <= x.shape[1] else x.mT for x in matrices]
    wide = [x.bfloat16() for x in wide] if on_gpu else wide
    groups: dict[Any, list[int]] = {}
    for number, x in enumerate(wide):
        groups.setdefault(x.shape if on_gpu else len(x), []).append(number)
    # in bfloat16 the Gram matrix would lose the small singular values
    method = by_matrix if on_gpu else by_gram
    found = list(matrices)
    for numbers in groups.values():
        for number, x in zip(numbers, method([wide[n] for n in numbers]), strict=True):
            matrix = matrices[number]
            found[number] = (x if x.shape == matrix.shape else x.mT).to(matrix.dtype)
    return found


def by_matrix(matrices: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
    """For wide matrices of one shape; in their precision."""
    x = torch.stack(list(matrices))
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=_TINY)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, _quadratic(gram), x, beta=LINEAR)
    return x.unbind()


def by_gram(matrices: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """For wide matrices with equal numbers of rows: every step is a polynomial of the first Gram matrix, and
    polynomials of one matrix commute, so that the longer side counts only twice. In float32 equal to about 1e-4.
    """
    gram = torch.stack([x @ x.mT for x in matrices])
    norms = gram.diagonal(dim1=1, dim2=2).sum(-1).sqrt().clamp(min=_TINY)[:, None, None]
    gram = gram / norms.square()
    linear = LINEAR * torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    whole = None
    for step in range(STEPS):
        factor = _quadratic(gram) + linear
        whole = factor if whole is None else factor @ whole
        if step < STEPS - 1:
            gram = factor @ (factor @ gram)
    return [factor @ x for factor, x in zip(whole / norms, matrices, strict=True)]


def _quadratic(gram: torch.Tensor) -> torch.Tensor:
    return torch.baddbmm(gram, gram, gram, beta=CUBIC, alpha=QUINTIC)


def _flat(tensor: torch.Tensor, layout: torch.Tensor) -> torch.Tensor:
    """(out, ...) as (out, rest) in the memory order of `layout`: of the parameter itself, a view."""
    if layout.is_contiguous():
        return tensor.reshape(len(tensor), -1)
    return tensor.movedim(1, -1).reshape(len(tensor), -1)


def _all(optimizer: torch.optim.Optimizer) -> Iterable[nn.Parameter]:
    return (p for group in optimizer.param_groups for p in group["params"])


def _groups(parameters: list[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Two groups, with and without decay; empty ones are left out."""
    decayed = [p for p in parameters if p.dim() >= 2]
    plain = [p for p in parameters if p.dim() < 2]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
