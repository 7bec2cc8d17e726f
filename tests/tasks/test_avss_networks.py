"""Separation with each of its networks: a training step, what each sees, one voice in noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from voicediff.data.separation.dataset import collate_mixtures
from voicediff.diffusion.noise import SeededNoise
from voicediff.errors import ConfigError
from voicediff.networks.attention import token_positions
from voicediff.networks.layers import length_mask
from voicediff.registry import Spec, build
from voicediff.tasks.avss.model import speaker_seeds

LIPS = {"name": "lip_stacks", "dim": 8, "channels": [4, 4], "layers": 1}
FACE = {"name": "face_resnet18", "dim": 6, "width": 4, "norm": "group"}
OUVE = {"sde": {"name": "ouve"}, "objective": {"name": "score"}}
BRIDGE = {"sde": {"name": "bridge"}, "objective": {"name": "data"}}
NCSNPP = {"name": "ncsnpp", "channels": 8, "multipliers": [1, 2], "blocks": 1, "attention": []}
STORM = {**NCSNPP, "centred": False, "divide": "before"}
CROSSING = {"cross_attention": [64, 32], "heads": 2, "head_size": 4}
#: decoder, and what it sees beside x and the mean
DECODERS = {
    "SGMSE+": ({**NCSNPP, "attention": [32], "divide": "before"}, ["mixture", "lips"]),
    "SGMSE+ v2": (NCSNPP, ["mixture", "lips"]),
    "SGMSE+ 48k": ({**NCSNPP, "pyramid": False, "divide": "after"}, ["mixture", "lips"]),
    "StoRM": (STORM, ["mixture", "lips", "identity"]),
    "AVDiffuSS": ({**STORM, **CROSSING, "positions": False}, ["lips_tokens"]),
    "one visual stream": ({**STORM, **CROSSING}, ["lips_tokens", "identity_tokens"]),
    "streams apart": (
        {**STORM, **CROSSING, "streams": "separate", "queries": "places", "depth": 2},
        ["lips_tokens", "identity_tokens"],
    ),
    "transformer": (
        {"name": "dit", "channels": 16, "layers": 1, "heads": 2, "patch": [16, 4]},
        ["mixture", "lips", "identity"],
    ),
    "transformer, tokens": (
        {"name": "dit", "channels": 16, "layers": 1, "heads": 2, "patch": [16, 4]},
        ["mixture", "lips_tokens", "identity"],
    ),
    "U-Net": ({"name": "unet", "channels": 16, "multipliers": [1, 2]}, ["mixture", "lips"]),
}
PREDICTORS = {
    "ncsnpp": ({**NCSNPP, "centred": False}, ["lips"]),
    "ncsnpp, tokens": ({**NCSNPP, **CROSSING}, ["lips_tokens", "identity"]),
    "tfgrid": (
        {"name": "tfgrid", "channels": 8, "layers": 1, "hidden": 4, "heads": 2},
        ["lips", "identity"],
    ),
}


def made(**options):
    torch.manual_seed(0)
    spec = {"name": "avss", "stft": {"n_fft": 126, "hop": 64}, **options}
    task = build("task", Spec(spec, "task"))
    for parameter in task.parameters():
        if not parameter.any():  # zero layers would hide what is under test
            torch.nn.init.normal_(parameter, std=0.1)
    return task


def batch_of(frames=(4, 3), voices=2):
    draw = np.random.default_rng(0)
    items = []
    for number, count in enumerate(frames):
        sources = 0.1 * draw.standard_normal((voices, count * 640)).astype(np.float32)
        noise = 0.05 * draw.standard_normal(count * 640).astype(np.float32)
        items.append(
            {
                "utt": f"mixture {number}",
                "pair": "different-gender",
                "mixture": sources.sum(0) + (noise if voices == 1 else 0),
                "sources": sources,
                "mouth": draw.integers(0, 255, (voices, count, 96, 96)).astype(np.uint8),
                "valid": np.ones((voices, count), bool),
                "face": draw.integers(0, 255, (voices, 224, 224, 3)).astype(np.uint8),
                "blind": np.zeros(voices, bool),
            }
        )
    return collate_mixtures(items, list(range(len(items))))


def encoders(sees):
    return {"lips": LIPS} | ({"identity": FACE} if any("identity" in s for s in sees) else {})


def learns(task, target, batch):
    """A step of the target moves its parameters and lowers the loss at the same draws."""
    parameters = [p for n, p in task.named_parameters() if n.startswith(task.targets[target])]
    parameters = [p for p in parameters if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, 1e-4)
    losses = []
    for _ in range(4):
        torch.manual_seed(0)
        loss = task.train()(batch, target).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[1:]) < losses[0], losses
    return {n for n, p in task.named_parameters() if p.grad is not None and p.grad.any()}


@pytest.mark.parametrize("case", DECODERS)
def test_every_decoder_trains_and_separates(case):
    decoder, sees = DECODERS[case]
    process = BRIDGE if "transformer" in case else OUVE
    task = made(encoders=encoders(sees), decoder=decoder, decoder_conditions=sees, **process)
    batch = batch_of()
    reached = learns(task, "generator", batch)
    assert any(n.startswith("lips.") for n in reached)
    assert any(n.startswith("identity.") for n in reached) == any("identity" in s for s in sees)
    inputs = [batch[k] for k in ("mixture", "mouth", "valid", "face", "frames")]
    sampler = build("sampler", {"name": "euler", "steps": 2})
    noise = SeededNoise(speaker_seeds(batch["seeds"], 2))
    found = task.eval().separate(*inputs, sampler, noise)
    assert found.tracks.shape == batch["sources"].shape and found.tracks.isfinite().all()
    assert found.nfe == 2


@pytest.mark.parametrize("case", PREDICTORS)
def test_every_predictor_trains_in_separation(case):
    predictor, sees = PREDICTORS[case]
    losses = {"si_sdr": 1.0, "stft": 0.5, "spectrum": 1.0}
    task = made(
        encoders=encoders(sees), predictor=predictor, predictor_conditions=sees, losses=losses
    )
    reached = learns(task, "predictor", batch_of())
    assert any(n.startswith("lips.") for n in reached)
    assert any(n.startswith("identity.") for n in reached) == any("identity" in s for s in sees)


def test_one_speaker_in_noise_is_enhanced_without_a_video():
    task = made(predictor=PREDICTORS["ncsnpp"][0], predictor_conditions=[], decoder=NCSNPP, **OUVE,
                decoder_conditions=["mixture"])  # fmt: skip
    assert set(task.targets) == {"predictor", "generator", "joint"}
    batch = batch_of(voices=1)
    learns(task, "joint", batch)
    blind = {**batch, "valid": torch.zeros_like(batch["valid"])}
    losses = [task.eval()(b, "predictor").loss for b in (batch, blind)]
    assert torch.equal(*losses)


BOTH = {
    "predictor": {**NCSNPP, "centred": False},
    "decoder": NCSNPP,
    "predictor_conditions": ["lips"],
    "decoder_conditions": ["mixture", "lips", "identity"],
    **BRIDGE,
}


def test_the_joint_loss_is_the_sum_of_its_parts():
    losses = {
        "si_sdr": 0.0,
        "spectrum": 0.7,
        "envelope": 0.1,
        "degradation_penalty": 0.0,
        "generator": 0.3,
    }
    task = made(encoders={"lips": LIPS, "identity": FACE}, losses=losses, **BOTH).train()
    batch = batch_of()
    joint, predictor, generator = (task(batch, t) for t in ("joint", "predictor", "generator"))
    assert torch.allclose(joint.loss, predictor.loss + 0.3 * generator.loss, rtol=1e-5)
    assert set(joint.terms) == set(predictor.terms) | set(generator.terms)
    error, frames = predictor.terms["spectrum"], predictor.terms["envelope"]
    assert torch.allclose(predictor.loss, 0.7 * error + 0.1 * frames, rtol=1e-5)


def test_gradients_of_the_generator_reach_the_predictor_only_in_joint_training():
    task = made(encoders={"lips": LIPS, "identity": FACE}, losses={"spectrum": 0.0}, **BOTH)
    for target, reached in (("generator", False), ("joint", True)):
        task.zero_grad()
        task.train()(batch_of(), target).loss.backward()
        found = [p.grad is not None and bool(p.grad.any()) for p in task.predictor.parameters()]
        assert any(found) == reached


PUBLISHED = {"name": "lips3d", "dim": 8, "width": 4, "layers": 1, "frozen": True}


def test_frozen_networks_are_in_eval_mode_for_every_target():
    face = {**FACE, "norm": "batch", "frozen": True}
    task = made(encoders={"lips": PUBLISHED, "identity": face}, **BOTH)
    statistics = {n: b.clone() for n, b in task.named_buffers() if "running" in n}
    assert any(n.startswith("lips.trunk") for n in statistics)
    learning = {
        "warmup": {"lips"},
        "predictor": {"lips", "identity", "predictor"},
        "generator": {"diffusion"},
        "joint": {"lips", "identity", "predictor", "diffusion"},
    }
    for target, names in learning.items():
        task.train()(batch_of(), target).loss.backward()
        modes = {name: child.training for name, child in task.named_children()}
        assert {name for name, training in modes.items() if training} - {"envelope"} == names
        assert not task.lips.trunk.training and not task.identity.layer1.training
        assert task.lips.temporal.training == ("lips" in names)
    found = dict(task.named_buffers())
    assert all(torch.equal(found[name], before) for name, before in statistics.items())
    for part in (task.lips.trunk, task.lips.frontend3D, task.identity.layer4):
        assert all(p.grad is None for p in part.parameters())


def test_the_warm_up_trains_only_lip_encoder_and_envelope():
    task = made(encoders={"lips": LIPS, "identity": FACE}, **BOTH)
    reached = learns(task, "warmup", batch_of())
    assert {name.partition(".")[0] for name in reached} == {"lips", "envelope"}


@torch.no_grad()
def test_a_speaker_without_a_face_is_separated_and_a_face_changes_the_track():
    task = made(encoders={"lips": LIPS, "identity": FACE}, **BOTH).eval()
    batch = batch_of()
    noise = SeededNoise(speaker_seeds(batch["seeds"], 2))
    sampler = build("sampler", {"name": "euler", "steps": 1})

    def voices(face):
        inputs = [
            {**batch, "face": face}[k] for k in ("mixture", "mouth", "valid", "face", "frames")
        ]
        return task.separate(*inputs, sampler, noise).tracks

    shown, hidden = voices(batch["face"]), voices(torch.zeros_like(batch["face"]))
    assert hidden.isfinite().all() and not torch.allclose(shown, hidden)


def test_a_missing_encoder_is_named():
    with pytest.raises(
        ConfigError, match=r"decoder_conditions: names `lips_tokens`, but .* no `lips`"
    ):
        made(decoder=NCSNPP, decoder_conditions=["lips_tokens"], **OUVE)
    with pytest.raises(ConfigError, match="may have `lips` and `identity`, found"):
        made(encoders={"mouth": LIPS}, decoder=NCSNPP, **OUVE)


@pytest.mark.parametrize("case", ["one visual stream", "streams apart"])
@torch.no_grad()
def test_tokens_of_a_short_item_do_not_depend_on_a_long_neighbour(case):
    decoder, sees = DECODERS[case]
    task = made(encoders=encoders(sees), decoder=decoder, decoder_conditions=sees, **OUVE).eval()
    together, alone = batch_of((6, 3)), batch_of((6, 3))
    alone = {k: v[1:] for k, v in alone.items()}
    for name, size in (("mixture", 3 * 640), ("sources", 3 * 640), ("mouth", 3), ("valid", 3)):
        axis = 1 if name == "mixture" else 2
        alone[name] = alone[name].narrow(axis, 0, size)
    sampler = build("sampler", {"name": "euler", "steps": 1})
    voices = []
    for batch in (together, alone):
        inputs = [batch[k] for k in ("mixture", "mouth", "valid", "face", "frames")]
        noise = SeededNoise(speaker_seeds(batch["seeds"], 2))
        voices.append(task.separate(*inputs, sampler, noise, noise_scale=0.0).tracks[-1])
    error = (voices[0][:, : 3 * 640] - voices[1]).abs().max()
    assert error < 1e-4 * voices[1].abs().max()


def test_a_gap_between_tokens_does_not_move_the_others():
    kept = length_mask(torch.tensor([8, 6]), 8)
    whole = token_positions(kept, torch.tensor([40, 30]))
    kept[:, 2:4] = False
    assert torch.equal(token_positions(kept, torch.tensor([40, 30])), whole)
    assert whole[1, 5] == 25
