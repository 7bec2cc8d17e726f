#!/usr/bin/env python
"""Time one evaluation and one training step of the score networks, formulation against formulation.

    tools/benchmark/networks.py                     every network, every variant
    tools/benchmark/networks.py gradtts mini        some networks
    tools/benchmark/networks.py --variant eager bf16 --repeat 5
    tools/benchmark/networks.py --train --batch 4   a training step instead

Variants of one network have the same weights and run in turns, so that their ratios hold also on a
machine that does other things; times are the smallest of --repeat rounds. `unfused` writes Mish with
softplus and tanh and resamples at the high rate, as the reference implementations do; `eager` is
the networks as they are, in contiguous memory; `freeze` compiles the weights in as constants (evaluation
only). `peak` is the share of what a matrix product of that precision reaches here. Differences are the largest one to `eager`, relative
to the largest output.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from voicediff.networks.conditions import Conditions
from voicediff.networks.fir import FIR
from voicediff.registry import build

Clock = Callable[[], float]


@dataclass
class Case:
    """A network and its input: spec, channels, bins, frames, and the frame conditions' dimension."""

    spec: dict
    channels: int
    bins: int
    frames: int
    states: int = 0


CASES = {
    "gradtts": Case({"name": "unet"}, 1, 80, 344),
    "mini": Case(
        {
            "name": "unet",
            "channels": 32,
            "blocks": 1,
            "patch": (2, 2),
            "frequency_planes": 4,
            "attention": False,
        },
        1,
        80,
        176,
        192,
    ),
    "wavenet": Case({"name": "wavenet", "use_mu": False}, 1, 80, 344, 256),
    "lynxnet2": Case({"name": "lynxnet2", "channels": 1024, "use_mu": False}, 1, 80, 344, 256),
    "dit": Case({"name": "dit"}, 1, 80, 344),
    "compact": Case(
        {
            "name": "patch_unet",
            "channels": (96, 128, 192, 256),
            "blocks": 2,
            "patch": (4, 2),
            "full_band": (16, 16),
            "recurrent": 256,
        },
        2,
        256,
        256,
        192,
    ),
    "ncsnpp128": Case({"name": "ncsnpp"}, 2, 256, 256),
    "ncsnpp64": Case({"name": "ncsnpp", "channels": 64}, 2, 256, 256),
    "ncsnpp16": Case({"name": "ncsnpp", "channels": 16}, 2, 256, 256),
}
VARIANTS = (
    "unfused",
    "eager",
    "channels_last",
    "bf16",
    "channels_last+bf16",
    "compile",
    "compile+bf16",
    "compile+freeze",
    "compile+freeze+bf16",
    "cuda_graph+bf16",
)


class Network:
    """One network with its inputs, run in any variant."""

    def __init__(self, case: Case, batch: int, device: str):
        torch.manual_seed(0)
        conditions = {"states": ("frames", case.states)} if case.states else {}
        self.net = build(
            "decoder", case.spec, channels_in=case.channels, bins=case.bins, conditions=conditions
        ).to(device)
        for parameter in self.net.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.02)
        shape = (batch, case.channels, case.bins, case.frames)
        self.x, self.mu = (torch.randn(shape, device=device) for _ in range(2))
        self.t = torch.linspace(0.1, 0.9, batch, device=device)
        self.mask = torch.ones(batch, case.frames, dtype=torch.bool, device=device)
        self.cond = Conditions()
        if case.states:
            states = torch.randn(batch, case.frames, case.states, device=device)
            self.cond.frames["states"] = states
        self.ready = self.net.prepare(self.mu, self.cond, self.mask)
        self.device = device
        self.compiled: dict[str, Callable] = {}

    def evaluate(self, variant: str) -> Tensor:
        """One evaluation with prepared conditions, as samplers make it."""
        with torch.no_grad(), self.as_in(variant) as net:
            return net(self.x, self.t, self.mu, self.ready, self.mask)

    def train(self, variant: str) -> Tensor:
        """Forward and backward."""
        with self.as_in(variant) as net:
            answer = net(self.x, self.t, self.mu, self.cond, self.mask)
        answer.float().square().mean().backward()
        self.net.zero_grad(set_to_none=True)
        return answer.detach()

    @contextlib.contextmanager
    def as_in(self, variant: str) -> Iterator[Callable]:
        """The network in a variant: memory format, formulation, precision, compilation."""
        last = "channels_last" in variant
        self._set_layout(last)
        bf16 = torch.autocast(self.device, torch.bfloat16, enabled="bf16" in variant)
        with bf16, as_published() if variant == "unfused" else contextlib.nullcontext():
            yield self._callable(variant)

    def _callable(self, variant: str) -> Callable:
        how = {
            "compile": {"freezing": "freeze" in variant},
            "cuda_graph": {"triton.cudagraphs": True},
        }
        options = how.get(variant.split("+")[0])
        if options is None:
            return self.net
        if variant not in self.compiled:
            self.compiled[variant] = torch.compile(self.net, options=options)
        return self.compiled[variant]

    def _set_layout(self, last: bool) -> None:
        for module in self.net.modules():
            if hasattr(module, "channels_last"):
                module.channels_last = last
        self.net.to(memory_format=torch.channels_last if last else torch.contiguous_format)


@contextlib.contextmanager
def as_published() -> Iterator[None]:
    """Mish from softplus and tanh; FIR resampling by filtering every channel at the high rate."""
    with (
        mock.patch.object(F, "mish", lambda x, inplace=False: x * torch.tanh(F.softplus(x))),
        mock.patch.object(FIR, "down", filtered_down),
        mock.patch.object(FIR, "up", filtered_up),
    ):
        yield


def filtered(x: Tensor, kernel: Tensor, pad: tuple[int, int]) -> Tensor:
    """Every channel of x as an image of its own, convolved at full rate."""
    x = F.pad(x, (*pad, *pad))
    y = F.conv2d(x.reshape(-1, 1, *x.shape[-2:]), kernel.to(x.dtype))
    return y.unflatten(0, x.shape[:2])[:, :, 0]


def filtered_down(fir: FIR, x: Tensor) -> Tensor:
    return filtered(x, fir.kernel / 64, (1, 1))[..., ::2, ::2]


def filtered_up(fir: FIR, x: Tensor) -> Tensor:
    spread = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    spread[..., ::2, ::2] = x
    return filtered(spread, fir.kernel / 16, (2, 1))


def peak(device: str, dtype: torch.dtype, clock: Clock) -> float:
    """GFLOP/s that this device reaches in a matrix product."""
    size = 1024 if device == "cpu" else 8192
    a = torch.randn(size, size, device=device, dtype=dtype)
    return 2e-9 * size**3 / min(timed(lambda: a @ a, device, clock) for _ in range(9))


def timed(run: Callable[[], Tensor], device: str, clock: Clock = time.perf_counter) -> float:
    """Seconds of one run."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = clock()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def measure(
    name: str, variants: list[str], peaks: dict[bool, float], args: argparse.Namespace
) -> None:
    """Print the table of one network; peaks in GFLOP/s by whether it is bf16."""
    network = Network(CASES[name], args.batch, args.device)
    step = network.train if args.train else network.evaluate
    with FlopCounterMode(display=False) as counter:
        reference = step("eager")
    gflop = counter.get_total_flops() / 1e9
    size = sum(p.numel() for p in network.net.parameters())
    print(f"\n{name}: {size / 1e6:.2f} M parameters, {gflop:.1f} GFLOP, batch {args.batch}")
    usable, errors = [], {}
    for variant in variants:
        try:
            answer = step(variant)
        except Exception as error:  # a machine without a compiler has no `compile` row
            print(f"  {variant}: not here ({type(error).__name__})")
            continue
        usable.append(variant)
        errors[variant] = float((answer - reference).abs().max() / reference.abs().max())
    best = dict.fromkeys(usable, float("inf"))
    for _, variant in itertools.product(range(args.repeat), usable):
        seconds = timed(lambda variant=variant: step(variant), args.device, args.clock)
        best[variant] = min(best[variant], seconds)
    first = best[usable[0]]
    print(f"  {'variant':20} {'ms':>9} {'ratio':>6} {'GFLOP/s':>8} {'peak':>5} {'difference':>10}")
    for variant, seconds in best.items():
        speed = gflop / seconds
        print(
            f"  {variant:20} {1e3 * seconds:9.1f} {first / seconds:6.2f} {speed:8.0f} "
            f"{speed / peaks['bf16' in variant]:5.0%} {errors[variant]:10.1e}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", choices=[[], *CASES], default=[])
    parser.add_argument("--variant", nargs="+", choices=VARIANTS, default=VARIANTS[:-1])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--train", action="store_true", help="time forward and backward")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--cpu-time",
        dest="clock",
        action="store_const",
        const=time.process_time,
        default=time.perf_counter,
        help="processor time, not wall time: for one thread on a machine that others use",
    )
    args = parser.parse_args()
    print(f"torch {torch.__version__}, {args.device}, {torch.get_num_threads()} threads")
    peaks = {
        half: peak(args.device, torch.bfloat16 if half else torch.float32, args.clock)
        for half in (False, True)
    }
    print(f"matrix product: {peaks[False]:.0f} GFLOP/s in float32, {peaks[True]:.0f} in bf16")
    variants = [v for v in args.variant if not (args.train and "freeze" in v)]
    for name in args.networks or CASES:
        measure(name, variants, peaks, args)


if __name__ == "__main__":
    main()
