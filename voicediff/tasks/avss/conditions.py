"""Conditions of the predictor and the decoder: states of the lips, the other speakers' lips, identity."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor

from voicediff.encoders.alignment import at_spectrum
from voicediff.networks.conditions import Conditions
from voicediff.networks.layers import length_mask
from voicediff.tasks.avss.scene import Scene
from voicediff.video.constants import FPS


def spectrum_states(states: Tensor, scene: Scene, frame_rate: float) -> Tensor:
    """States (B S, T_video, D) at the frames of the spectrum, `frame_rate` per second: (B S, T, D)."""
    states = at_spectrum(states, scene.mask.shape[1], FPS, frame_rate, scene.frames)
    return states * scene.mask[..., None]


def all_conditions(
    scene: Scene,
    lips: Tensor | None,
    identity: Tensor | None,
    frame_rate: float,
    with_others: bool,
) -> Conditions:
    """Every condition that the encoders provide; each network uses those that it was built for.

    Args:
        lips: (B S, T_video, D) states of the lip encoder. identity: (B S, D).
        frame_rate: frames of the spectrum per second. with_others: include `others`.
    """
    cond = Conditions(maps={"mixture": scene.y})
    # tokens of zeros are ignored: those beyond the end of an item
    keep = length_mask(scene.frames, scene.mouth.shape[1])[..., None]
    if lips is not None:
        cond.frames["lips"] = spectrum_states(lips, scene, frame_rate)
        if with_others:
            cond.frames["others"] = scene.mean_of_others(cond.frames["lips"])
        cond.tokens["lips_tokens"] = lips * keep
    if identity is not None:
        cond.vector["identity"] = identity
        cond.tokens["identity_tokens"] = identity[:, None] * keep
    return cond


def selected(cond: Conditions, names: Collection[str]) -> Conditions:
    """Only the named conditions, so that no other one is dropped in training or guided."""
    return Conditions(
        **{
            kind: {name: x for name, x in named.items() if name in names}
            for kind, named in vars(cond).items()
        }
    )
