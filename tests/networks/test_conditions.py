"""Conditions: dropped ones are zero; a crop applies to maps and frames only."""

from __future__ import annotations

import torch

from voicediff.networks.conditions import Conditions


def conditions() -> Conditions:
    return Conditions(
        maps={"mixture": torch.ones(2, 2, 5, 9), "estimate": torch.ones(2, 2, 5, 9)},
        frames={"lips": torch.arange(18.0).reshape(2, 9, 1)},
        tokens={"text": torch.ones(2, 4, 3)},
        vector={"singer": torch.ones(2, 6)},
    )


def test_names_cover_all_four_kinds():
    assert conditions().names() == ["mixture", "estimate", "lips", "text", "singer"]


def test_dropped_conditions_are_zero_and_the_others_stay():
    before = conditions()
    after = before.without(["mixture", "singer"])
    assert not after.maps["mixture"].any() and not after.vector["singer"].any()
    assert after.maps["estimate"] is before.maps["estimate"]
    assert after.tokens["text"].shape == (2, 4, 3)
    assert before.maps["mixture"].all(), "the original is unchanged"


def test_a_crop_takes_frames_of_maps_and_frames_only():
    cut = conditions().crop(2, 6)
    assert cut.maps["mixture"].shape == (2, 2, 5, 4)
    assert cut.frames["lips"][:, :, 0].tolist() == [[2, 3, 4, 5], [11, 12, 13, 14]]
    assert cut.tokens["text"].shape == (2, 4, 3) and cut.vector["singer"].shape == (2, 6)


def test_map_reaches_every_tensor():
    doubled = conditions().map(lambda tensor: tensor * 2)
    assert doubled.names() == conditions().names()
    assert doubled.vector["singer"].sum() == 24 and doubled.maps["estimate"].sum() == 360
