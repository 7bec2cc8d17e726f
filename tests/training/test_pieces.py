"""Order of items, schedules, averages, optimizers and loggers, each by itself."""

from __future__ import annotations

import math
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from voicediff.registry import build, entries
from voicediff.tasks.base import Preview
from voicediff.training.average import averaged, decay_at
from voicediff.training.optimizers import Muon, by_gram, by_matrix, orthogonal
from voicediff.training.options import Average
from voicediff.training.order import Order, share


def order(**changes) -> Order:
    return Order(**{"seed": 1, "phase": "a", "items": 7, "size": 3} | changes)


def test_every_epoch_has_each_item_once_in_another_order():
    stream = [draw.index for number in range(14) for draw in order().update(number)]
    epochs = [stream[start : start + 7] for start in range(0, 42, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_an_update_depends_only_on_its_number_and_the_seed():
    assert order().update(5) == order().update(5)
    assert order().update(5) != order(seed=2).update(5)
    assert order().update(5) != order(phase="b").update(5)


def test_an_item_has_another_seed_in_another_epoch():
    seeds = {draw.seed for number in range(7) for draw in order().update(number)}
    assert len(seeds) == 21


def test_sorted_pools_hold_the_same_items_with_less_padding():
    lengths = tuple(range(100))
    mixed = order(items=100, size=5)
    pooled = order(items=100, size=5, pool=10, lengths=lengths)

    def flat(some: Order) -> list[int]:
        return sorted(draw.index for number in range(10) for draw in some.update(number))

    def spread(some: Order) -> float:
        return float(np.mean([np.ptp([d.index for d in some.update(n)]) for n in range(10)]))

    assert flat(pooled) == flat(mixed)
    assert spread(pooled) < 0.3 * spread(mixed)
    starts = [pooled.update(number)[0].index for number in range(10)]
    assert starts != sorted(starts)  # short and long updates alternate


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_share_an_update_without_loss(processes):
    draws = order(size=10).update(0)
    shares = [share(draws, 2, process, processes) for process in range(processes)]
    for number in range(2):
        together = {draw for own in shares for draw in own[number]}
        assert together == set(draws[number * 5 : number * 5 + 5])
        assert max(len(own[number]) for own in shares) <= math.ceil(5 / processes)


def test_schedules_against_their_formulas():
    cosine = build("schedule", {"name": "cosine", "warmup": 4, "end": 0.1})
    assert [cosine(step, 104) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert cosine(4, 104) == 1
    assert cosine(54, 104) == pytest.approx(0.55)
    linear = build("schedule", {"name": "linear", "end": 0.5})
    assert linear(25, 100) == pytest.approx(0.875)
    exponential = build("schedule", {"name": "exponential", "end": 0.01})
    assert exponential(50, 100) == pytest.approx(0.1)


@pytest.mark.parametrize("name", entries("schedule"))
def test_every_schedule_stays_within_zero_and_one(name):
    schedule = build("schedule", {"name": name, "warmup": 3})
    factors = [schedule(step, 20) for step in range(20)]
    assert 0 < min(factors) and max(factors) <= 1
    assert schedule(0, 1) > 0


def test_the_average_copies_in_the_warmup_and_follows_its_formula_afterwards():
    model = nn.Linear(1, 1, bias=False)
    options = Average(decay=0.5, warmup=2)
    average, expected = averaged(model, options), 0.0
    for update in range(30):
        nn.init.constant_(model.weight, float(update))
        decay = 0 if update <= 2 else min(0.5, (update - 2) / (update + 7))
        expected = decay * expected + (1 - decay) * update
        average.update_parameters(model)
        assert average.module.weight.item() == pytest.approx(expected, rel=1e-5)
    assert decay_at(1000, options) == 0.5


@pytest.mark.parametrize("name", entries("optimizer"))
def test_every_optimizer_minimises_and_resumes_from_its_state(name):
    def problem() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv1d(2, 6, 3), nn.Tanh(), nn.Conv1d(6, 2, 3))
        spec = {"name": name, "lr": 0.01}
        return net, build("optimizer", spec, parameters=list(net.parameters()))

    def steps(net: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> float:
        for step in range(first, last):
            x = torch.randn(4, 2, 12, generator=torch.Generator().manual_seed(step))
            loss = (net(x) - x[..., 2:-2].flip(1)).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    net, optimizer = problem()
    early = steps(net, optimizer, 0, 3)
    weights, state = deepcopy((net.state_dict(), optimizer.state_dict()))
    again, restored = problem()
    again.load_state_dict(weights)
    restored.load_state_dict(state)
    assert steps(net, optimizer, 3, 60) < 0.8 * early
    steps(again, restored, 3, 60)
    for a, b in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_muon_treats_a_kernel_as_a_matrix_in_any_memory_format():
    def step(memory_format: torch.memory_format) -> torch.Tensor:
        torch.manual_seed(0)
        kernel = nn.Parameter(torch.randn(4, 3, 3, 3).contiguous(memory_format=memory_format))
        gradient = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(1))
        optimizer = build("optimizer", {"name": "muon"}, parameters=[kernel])
        kernel.grad = gradient
        optimizer.step()
        return kernel.detach()

    torch.manual_seed(0)
    start = torch.randn(4, 3, 3, 3)
    one, other = step(torch.contiguous_format), step(torch.channels_last)
    assert not torch.equal(one, start)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    update = (one - start * (1 - 2e-3 * 0.01)).flatten(1)
    values = torch.linalg.svdvals(update)
    assert values.max() / values.min() < 2  # orthogonalised: nearly equal singular values


def test_weight_decay_does_not_apply_to_biases():
    layer = nn.Linear(3, 3)
    spec = {"name": "adamw", "weight_decay": 0.5}
    optimizer = build("optimizer", spec, parameters=list(layer.parameters()))
    decays = {
        p.dim(): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    assert decays == {2: 0.5, 1: 0.0}


def test_csv_resumes_from_its_state(tmp_path):
    def logger(step: int, state: dict):
        made = build("logger", {"name": "csv"})
        made.open(tmp_path, step, state)
        return made

    first = logger(0, {})
    first.scalars(1, "train", {"loss": 0.25})
    state = first.state()
    first.scalars(2, "train", {"loss": 99.0})
    second = logger(1, state)
    second.scalars(2, "train", {"loss": 0.125})
    second.close()
    text = (tmp_path / "log.csv").read_text()
    assert text == "step,split,name,value\n1,train,loss,0.25\n2,train,loss,0.125\n"


def test_tensorboard_has_scalars_pictures_and_sounds(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = build("logger", {"name": "tensorboard"})
    logger.open(tmp_path, 0, {})
    logger.scalars(3, "train", {"loss": 0.5})
    picture = np.zeros((4, 5, 3), np.uint8)
    logger.preview(3, Preview({}, {"mel": picture}, {"song": np.zeros(80, np.float32)}, 8000))
    logger.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(3, 0.5)]
    assert (events.Images("mel")[0].height, events.Images("mel")[0].width) == (4, 5)
    assert events.Audio("song")[0].sample_rate == 8000


def test_wandb_writes_a_run_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = build("logger", {"name": "wandb"})
    logger.open(tmp_path, 0, {})
    logger.scalars(1, "train", {"loss": 0.5})
    picture = np.zeros((4, 5, 3), np.uint8)
    logger.preview(1, Preview({}, {"mel": picture}, {"song": np.zeros(80, np.float32)}, 8000))
    assert logger.state()["id"]
    logger.close()
    runs = list((tmp_path / "wandb").glob("offline-run-*"))
    assert len(runs) == 1 and list(runs[0].rglob("*.wav")) and list(runs[0].rglob("*.png"))


def test_muon_leaves_large_matrices_to_adamw():
    parameters = [
        nn.Parameter(torch.ones(*shape)) for shape in ((3, 8), (2, 5, 2), (4, 4), (4, 2, 3))
    ]
    optimizer = build("optimizer", {"name": "muon", "max_side": 3}, parameters=parameters)
    adam = optimizer.parts[1]
    assert [tuple(p.shape) for p in adam.param_groups[0]["params"]] == [(4, 4), (4, 2, 3)]
    assert [tuple(p.shape) for p in optimizer.matrices] == [(3, 8), (2, 5, 2)]


@pytest.mark.parametrize("shape", [(8, 32), (32, 8), (16, 16)])
def test_muon_equals_the_one_of_pytorch(shape: tuple[int, int]):
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(shape)) for _ in range(3)]  # of one shape: together
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    one = Muon(ours, lr=1e-2, momentum=0.95, weight_decay=0.1)
    other = torch.optim.Muon(
        theirs, lr=1e-2, momentum=0.95, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(4):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = b.grad = torch.randn(shape)
        one.step()
        other.step()
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).norm() < 2e-4 * b.norm()  # they round to bfloat16


def test_orthogonalised_matrices_keep_their_directions():
    matrices = torch.randn(2, 6, 20, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    found = torch.stack(orthogonal(matrices))
    singular = torch.linalg.svdvals(found)
    assert 0.6 < singular.min() and singular.max() < 1.3
    turned = u.mT @ found @ v.mT  # diagonal where the singular vectors are kept
    assert (turned - torch.diag_embed(turned.diagonal(dim1=1, dim2=2))).abs().max() < 1e-4


@pytest.mark.parametrize("smallest", [1.0, 1e-8])
def test_orthogonalising_by_the_gram_matrix_is_equivalent(smallest):
    """Also if the singular values of a gradient differ by many orders of magnitude."""
    generator = torch.Generator().manual_seed(1)
    u, _, v = torch.linalg.svd(torch.randn(3, 32, 288, generator=generator), full_matrices=False)
    x = (u * torch.logspace(0, math.log10(smallest), 32)) @ v / 6
    exact = torch.stack(by_matrix(x.double()))
    assert (torch.stack(by_gram(x.double())) - exact).norm() < 1e-10 * exact.norm()
    assert (torch.stack(by_gram(x)) - exact).norm() < 2e-3 * exact.norm()


def test_orthogonalising_together_equals_one_by_one():
    generator = torch.Generator().manual_seed(2)
    shapes = [(8, 32), (32, 8), (8, 9), (16, 16), (9, 8), (1, 5), (8, 32)]
    matrices = [torch.randn(shape, generator=generator) for shape in shapes]
    for matrix, together in zip(matrices, orthogonal(matrices), strict=True):
        (alone,) = orthogonal([matrix])
        assert together.shape == matrix.shape
        assert torch.allclose(alone, together, atol=1e-5)
