"""The contract of lip and face encoders."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from voicediff.encoders.pretrained import load_pretrained
from voicediff.errors import DataError
from voicediff.networks.layers import length_mask
from voicediff.registry import build
from voicediff.training.average import averaged
from voicediff.training.options import Average

LIPS = {
    "lips3d": {"dim": 12, "width": 4, "layers": 2},
    "lips3d shuffled": {
        "name": "lips3d",
        "dim": 12,
        "trunk": "shufflenet",
        "multiplier": 0.5,
        "layers": 2,
        "norm": "group",
        "act": "relu",
    },
    "talknet": {"dim": 16, "blocks": 2},
    "lip_stacks": {"dim": 8, "channels": [4, 6], "layers": 2},
    "lip_stacks shrunk": {
        "name": "lip_stacks",
        "dim": 8,
        "shrink": 2,
        "channels": [4, 6],
        "layers": 2,
    },
}
FACE = {"name": "face_resnet18", "dim": 8, "width": 4}

each = pytest.mark.parametrize("case", LIPS)


def made(case, seed=0, **options):
    torch.manual_seed(seed)
    return build("encoder", {"name": case, **LIPS[case], **options}).eval()


def face_encoder(seed=0, **options):
    torch.manual_seed(seed)
    return build("encoder", {**FACE, **options}).eval()


def video(batch=3, frames=9, size=88):
    return torch.randn(batch, frames, size, size, generator=torch.Generator().manual_seed(1))


@each
@torch.no_grad()
def test_padding_and_other_items_do_not_change_lip_states(case):
    encoder, mouth = made(case), video()
    lengths = torch.tensor([9, 6, 8])
    together = encoder(mouth, length_mask(lengths, 9))
    assert together.shape == (3, 9, encoder.dim)
    for i, n in enumerate(lengths.tolist()):
        alone = encoder(mouth[i : i + 1, :n], torch.ones(1, n, dtype=torch.bool))
        assert (together[i : i + 1, :n] - alone).abs().max() < 2e-5 * alone.abs().max()
        if not case.startswith("lip_stacks"):  # missing frames are estimated from their neighbours
            nothing = encoder(mouth[:1], torch.zeros(1, 9, dtype=torch.bool))[0, : 9 - n]
            assert torch.equal(together[i, n:], nothing)


@each
@torch.no_grad()
def test_batches_of_one_two_and_three_agree(case):
    encoder, mouth = made(case), video()
    valid = torch.ones(3, 9, dtype=torch.bool)
    valid[1, 3:5] = False
    three = encoder(mouth, valid)
    for size in (1, 2):
        fewer = encoder(mouth[:size], valid[:size])
        assert (fewer - three[:size]).abs().max() < 2e-5 * three.abs().max()


@each
@torch.no_grad()
def test_content_of_missing_frames_has_no_effect(case):
    encoder, mouth = made(case), video(1)
    valid = torch.tensor([[True] * 4 + [False] * 2 + [True] * 3])
    other = mouth.clone()
    other[:, 4:6] = 7.0
    assert torch.equal(encoder(mouth, valid), encoder(other, valid))
    nothing = encoder(mouth, torch.zeros_like(valid))
    assert nothing.shape == (1, 9, encoder.dim)
    # matrix products round differently in the last bit
    assert (nothing - nothing[:, :1]).abs().max() < 1e-6


@each
@torch.no_grad()
def test_states_follow_the_motion_of_the_lips(case):
    encoder, mouth = made(case), video(1)
    valid = torch.ones(1, 9, dtype=torch.bool)
    swapped = mouth.clone()
    swapped[:, [3, 4]] = mouth[:, [4, 3]]
    change = (encoder(swapped, valid) - encoder(mouth, valid)).abs().amax(-1)[0]
    assert change[3] > 1e-4 and change[4] > 1e-4


@torch.no_grad()
def test_downscaled_images_are_means_of_their_pixels():
    encoder, mouth = made("lip_stacks shrunk"), video(1)
    valid = torch.ones(1, 9, dtype=torch.bool)
    means = mouth.unflatten(-1, (44, 2)).unflatten(-3, (44, 2)).mean((-1, -3), keepdim=True)
    blocks = means.expand(-1, -1, -1, 2, -1, 2).flatten(-2).flatten(-3, -2)
    assert not torch.equal(blocks, mouth)
    assert (encoder(blocks, valid) - encoder(mouth, valid)).abs().max() < 1e-5


@each
def test_gradients_reach_every_parameter_of_a_lip_encoder(case):
    encoder = made(case).train()
    valid = length_mask(torch.tensor([9, 6, 8]))
    encoder(video(), valid).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in encoder.parameters())


@each
@torch.no_grad()
def test_state_dict_round_trip_of_a_lip_encoder(case):
    first, second = made(case), made(case, seed=5)
    second.load_state_dict(first.state_dict(), strict=True)
    valid = torch.ones(3, 9, dtype=torch.bool)
    assert torch.equal(first(video(), valid), second(video(), valid))


def test_group_norm_is_the_same_in_training_and_inference():
    encoder, mouth = made("lips3d", norm="group", dropout=0.0), video()
    valid = torch.ones(3, 9, dtype=torch.bool)
    assert torch.allclose(encoder.train()(mouth, valid), encoder.eval()(mouth, valid), atol=1e-6)


@torch.no_grad()
def test_face_vectors_do_not_depend_on_the_batch():
    encoder = face_encoder()
    faces = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    three = encoder(faces)
    assert three.shape == (3, 8) and torch.allclose(three.norm(dim=-1), torch.ones(3))
    assert torch.allclose(encoder(faces[1:2]), three[1:2], atol=1e-6)
    assert (three[0] - three[1]).abs().max() > 1e-4


@pytest.mark.parametrize("width", [4, 6])
def test_narrow_networks_train_on_channels_last_images(width):
    """oneDNN writes out of bounds in the backward pass of `nn.Conv2d(4, 8, 1, 2)` on these."""
    encoder = face_encoder(width=width, norm="group").train()
    pictures = torch.rand(4, 224, 224, 3, generator=torch.Generator().manual_seed(1))
    for layout in (pictures, pictures.contiguous()):
        encoder(layout.permute(0, 3, 1, 2))[:, 0].sum().backward()
    picked, usual = encoder.layer2[0].downsample[0], torch.nn.Conv2d(width, 2 * width, 1, 2)
    usual.weight, usual.bias = picked.weight, None
    x = torch.randn(2, width, 9, 8)
    assert torch.allclose(picked(x), usual(x), atol=1e-6)


def test_gradients_reach_every_parameter_of_the_face_encoder():
    encoder = face_encoder(unit=False).train()
    encoder(torch.rand(3, 3, 64, 64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in encoder.parameters())


def test_torchvision_weights_load_into_the_face_encoder(tmp_path):
    donor = face_encoder(seed=3)
    weights = {n: t.clone() for n, t in donor.state_dict().items() if not n.startswith("fc.")}
    weights |= {"fc.weight": torch.zeros(1000, 32), "fc.bias": torch.zeros(1000)}
    assert {"conv1.weight", "bn1.running_mean", "layer2.0.downsample.1.weight"} <= set(weights)
    torch.save(weights, tmp_path / "resnet18.pth")
    encoder = face_encoder(weights=str(tmp_path / "resnet18.pth"))
    own = encoder.fc.weight.clone()
    assert load_pretrained(torch.nn.Sequential(encoder)) == [str(tmp_path / "resnet18.pth")]
    assert torch.equal(encoder.layer4[1].conv2.weight, donor.layer4[1].conv2.weight)
    assert torch.equal(encoder.fc.weight, own)


def lip_file(path):
    """A lip-reading checkpoint with published names and a recogniser."""
    donor = made("lips3d", seed=3)
    names = ("frontend3D.", "trunk.")
    weights = {f"module.{n}": t for n, t in donor.state_dict().items() if n.startswith(names)}
    weights["module.tcn.tcn_output.weight"] = torch.zeros(500, 8)
    torch.save({"epoch_idx": 3, "model_state_dict": weights}, path)
    return donor


def test_frozen_lips_keep_their_weights_and_statistics(tmp_path):
    donor = lip_file(tmp_path / "lips.pth")
    encoder = made("lips3d", weights=str(tmp_path / "lips.pth"), frozen=True)
    load_pretrained(encoder)
    average = averaged(encoder, Average())
    trained = [p for p in encoder.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, 0.1)
    for _ in range(2):
        encoder.train()(video(), torch.ones(3, 9, dtype=torch.bool)).square().sum().backward()
        optimizer.step()
        average.update_parameters(encoder)
    for network in (encoder, average.module):
        for name, tensor in network.state_dict().items():
            if name.startswith(("frontend3D.", "trunk.")):
                assert torch.equal(tensor, donor.state_dict()[name]), name
    assert not torch.equal(encoder.enter.weight, made("lips3d").enter.weight)
    modes = {n: m.training for n, m in encoder.named_modules()}
    assert not modes["trunk.layer1.0.bn1"] and modes["temporal.0.dropout"]


def test_lips_that_are_not_frozen_are_trained(tmp_path):
    donor = lip_file(tmp_path / "lips.pth")
    encoder = made("lips3d", weights=str(tmp_path / "lips.pth"))
    load_pretrained(encoder)
    assert torch.equal(encoder.trunk.layer1[0].conv1.weight, donor.trunk.layer1[0].conv1.weight)
    assert all(p.requires_grad for p in encoder.parameters())
    assert encoder.train().trunk.training


def test_a_file_that_does_not_fit_is_described(tmp_path):
    path = tmp_path / "lips.safetensors"
    save_file({"trunk.layer1.0.conv1.weight": torch.zeros(1)}, path)
    encoder = made("lips3d", weights=str(path))
    with pytest.raises(
        DataError, match=r"lips.safetensors: does not fit: trunk.layer1.0.conv1.weight is \(1,\)"
    ):
        encoder.load_pretrained()
    with pytest.raises(DataError, match=r"missing.pth: No such file"):
        made("lips3d", weights=str(tmp_path / "missing.pth")).load_pretrained()


def test_published_names_of_the_shufflenet_trunk():
    names = set(made("lips3d shuffled", norm="batch").trunk.state_dict())
    assert {"stage2.0.branch1.2.weight", "stage4.3.branch2.6.bias", "conv5.1.running_var"} <= names


@torch.no_grad()
def test_downscaling_equals_average_pooling():
    shrunk, mouth = made("lip_stacks shrunk"), video()
    squares = torch.nn.functional.avg_pool2d(mouth, 2).repeat_interleave(2, -1)
    told = [
        shrunk(m, torch.ones(3, 9, dtype=torch.bool))
        for m in (mouth, squares.repeat_interleave(2, -2))
    ]
    assert torch.allclose(*told, atol=1e-5)
    assert not torch.allclose(told[0], shrunk(mouth.flip(-1), torch.ones(3, 9, dtype=torch.bool)))
