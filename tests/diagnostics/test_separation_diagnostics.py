"""Each check fails on a model or data with its fault, and passes a healthy one."""

from __future__ import annotations

import copy
import math
import sys
from pathlib import Path

import pytest
import torch

from voicediff.audio import STFT
from voicediff.data.separation import dataset as data
from voicediff.data.separation.clips import read_clip
from voicediff.diagnostics import av_sync, diffusion_time, structure, video
from voicediff.diagnostics.check import above, below, failed, not_measured, reported, table
from voicediff.diagnostics.overfit import overfit
from voicediff.diagnostics.separation import shortened
from voicediff.diagnostics.training_progress import age, steps_done, training_checks
from voicediff.inference.separation import batches_of
from voicediff.registry import build
from voicediff.tasks.avss import conditions
from voicediff.training.options import Average

sys.path.insert(0, str(Path(__file__).parent))
import talkers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return talkers.write_talkers(tmp_path_factory.mktemp("talkers"))


@pytest.fixture
def model(folder):
    torch.manual_seed(0)
    return talkers.experiment(folder)


def passed(checks):
    return {check.name: check.passed for check in checks}


# -- checks in general ----------------------------------------------------------------------------


def test_nan_passes_no_limit():
    assert above("a", "A", 2.0, 1.0, "dB").passed and not above("a", "A", math.nan, 1.0, "").passed
    assert below("a", "A", 0.0, 1.0, "dB").passed and not below("a", "A", math.nan, 1.0, "").passed


def test_the_table_marks_failed_checks_and_values_without_limit():
    checks = [above("a", "first", 0.5, 1.0, "dB"), reported("b", "second", "12 steps")]
    lines = table([*checks, not_measured("c", "third", "no lips")]).splitlines()
    assert lines[1].split() == ["first", "0.5", "dB", ">", "1", "dB", "NO"]
    assert lines[2].endswith("–") and "not measured: no lips" in lines[3]
    assert [check.name for check in failed(checks)] == ["a"]


# -- the video ----------------------------------------------------------------------------------


def video_results(task, folder):
    listed = talkers.mixtures(folder)
    return passed(video.video_checks(task, list(batches_of(task, listed, 4)), None))


def test_a_model_that_reads_lips_passes_all_video_checks(folder):
    found = video_results(talkers.PixelDecoder(), folder)
    wanted = dict.fromkeys(("swap", "selection", "zeroed", "shuffled"), True)
    assert found == {"quality": None, **wanted}


@pytest.mark.parametrize(
    "kind, wrong",
    [
        (talkers.Blind, {"swap", "selection", "zeroed", "shuffled"}),
        (talkers.Crossed, {"selection", "zeroed", "shuffled"}),
        (talkers.Memorising, {"shuffled"}),
    ],
)
def test_models_that_misuse_the_video_are_detected(folder, kind, wrong):
    assert {name for name, fine in video_results(kind(), folder).items() if fine is False} == wrong


def test_without_a_pair_of_the_same_speaker_losses_are_not_measured(folder):
    task = talkers.PixelDecoder()
    listed = talkers.mixtures(folder)
    listed.mixtures = [m for m in listed.mixtures if m.pair != "same-voice"]
    checks = video.video_checks(task, list(batches_of(task, listed, 4)), None)
    assert passed(checks)["zeroed"] is None and "same speaker" in checks[-1].measured


def test_predictor_and_generator_are_reported_together(model, folder):
    sampler = build("sampler", {"name": "euler", "steps": 1})
    batches = list(batches_of(model.task, talkers.mixtures(folder), 6))
    found = video.quality(model.task, video.separate_all(model.task, batches, sampler), sampler)
    assert set(found.figures) == {f"{p}_{k}" for p in ("predictor", "final") for k in ("different", "same")}  # fmt: skip
    assert "predictor" in found.measured and "with generator" in found.measured


# -- the transform ------------------------------------------------------------------------------


def test_a_transform_that_is_not_its_inverse_is_detected():
    class Mismatched:
        analysis, synthesis = STFT(n_fft=510, hop=160), STFT(n_fft=510, hop=128)

        def __call__(self, wav):
            return self.analysis(wav)

        def inverse(self, spectrum, length):
            return self.synthesis.inverse(spectrum, length)

    class Short(STFT):
        def inverse(self, spectrum, length):
            return super().inverse(spectrum, length - 1)

    assert passed(structure.transform(STFT())) == {"stft": True, "length": True}
    assert passed(structure.transform(Mismatched())) == {"stft": False, "length": True}
    assert passed(structure.transform(Short())) == {"stft": False, "length": False}


# -- synchrony ----------------------------------------------------------------------------------


def late(path, start=0, frames=None):
    """The loader of AVDiffuSS: the video starts at a whole second."""
    clip = read_clip(path, start, frames)
    clip.mouth = read_clip(path, start // 25 * 25, frames).mouth
    return clip


def test_flash_and_click_arrive_together_and_a_desynchronised_loader_is_detected(
    model, monkeypatch
):
    options = {"frames": 30}
    assert av_sync.flash_and_click(model.task, options, 16).passed
    monkeypatch.setattr(data, "read_clip", late)
    check = av_sync.flash_and_click(model.task, options, 16)
    assert not check.passed and check.figures["value"] > 400


def test_lip_features_at_the_wrong_rate_are_detected(model, monkeypatch):
    at_rate = conditions.at_spectrum
    monkeypatch.setattr(conditions, "at_spectrum", lambda s, *rest: at_rate(s.roll(1, 1), *rest))
    check = av_sync.flash_and_click(model.task, {"frames": 30}, 8)
    assert not check.passed and check.figures["value"] == pytest.approx(40, abs=2)


def test_synchrony_is_checked_with_tokens_and_with_a_generator_alone(folder):
    decoder = {"name": "ncsnpp", "channels": 8, "multipliers": [1, 2], "blocks": 1, "attention": []}
    decoder |= {"cross_attention": [64], "heads": 2, "head_size": 4, "pyramid": False}
    alone = talkers.experiment(
        folder, predictor=None, decoder=decoder, decoder_conditions=["mixture", "lips_tokens"]
    )
    assert av_sync.flash_and_click(alone.task, {"frames": 30}, 8).passed


def test_synchrony_is_not_measured_without_lips(folder):
    audio_only = talkers.experiment(
        folder, encoders={}, predictor_conditions=[], decoder_conditions=["mixture"]
    )
    assert av_sync.flash_and_click(audio_only.task, {}).passed is None


# -- batches ------------------------------------------------------------------------------------


def batch_results(model, folder, equal=False):
    few = shortened(model.task, talkers.mixtures(folder))
    if equal:
        few["frames"] = few["frames"].clamp(min=int(few["frames"].max()))
    return passed(structure.batches(model.task, few, None))


def test_cross_talk_between_clips_is_detected(model, folder):
    assert batch_results(model, folder, equal=True) == {"batches": True, "neighbours": True}

    def joined(module, inputs, output):
        return output + output.mean(0, keepdim=True)

    model.task.lips.register_forward_hook(joined)
    assert batch_results(model, folder, equal=True) == {"batches": False, "neighbours": False}


# -- frozen parts -------------------------------------------------------------------------------


def frozen(model, folder):
    return structure.frozen(model.task, shortened(model.task, talkers.mixtures(folder)))


def test_frozen_parts_in_train_mode_are_detected(model, folder, monkeypatch):
    before = copy.deepcopy(model.task.state_dict())
    assert frozen(model, folder).passed
    monkeypatch.setattr(type(model.task), "_freeze", lambda self, turn: None)
    check = frozen(model, folder)
    assert not check.passed and "predictor (generator)" in check.figures["names"]
    after = model.task.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not model.task.training and all(p.requires_grad for p in model.task.parameters())


def test_batch_norms_of_a_frozen_encoder_are_detected(folder, monkeypatch):
    lips = {"name": "lips3d", "dim": 8, "width": 8, "layers": 1, "frozen": True}
    model = talkers.experiment(folder, encoders={"lips": lips})
    assert frozen(model, folder).passed
    monkeypatch.setattr(type(model.task), "_freeze", lambda self, turn: None)
    model.task.lips.frozen = False  # its batch norms use the statistics of every batch
    assert any("frontend3D" in name for name in frozen(model, folder).figures["names"])


# -- training -----------------------------------------------------------------------------------


def test_an_average_that_keeps_initial_weights_is_detected(model):
    model.config.training = {"phases": [dict(talkers.PHASE)], "ema": {"decay": 0.999}}
    assert passed(training_checks(model))["start"] is True
    few = copy.deepcopy(model)
    few.config.training = {"phases": [dict(talkers.PHASE)], "ema": {"decay": 0.999}}
    few.step = 2
    assert passed(training_checks(few))["start"] is False


def test_steps_and_the_age_of_the_average_are_reported(model):
    checks = {check.name: check for check in training_checks(model)}
    assert checks["steps"].measured == "40: predictor 40"
    assert steps_done(model.config.training, 15) == {"predictor": 15}
    assert age(Average(decay=0.9), 10_000) == pytest.approx(9, abs=0.1)
    assert age(Average(warmup=50), 40) == 0


# -- diffusion ----------------------------------------------------------------------------------


def test_losses_are_reported_by_bin_of_t_and_a_bin_that_is_not_finite_fails(model, folder):
    batch = shortened(model.task, talkers.mixtures(folder))
    check = diffusion_time.loss_by_time(model.task, [batch], "generator", samples=8)
    assert check.passed and len(check.figures["losses"]) == diffusion_time.BINS
    assert all(loss > 0 for loss in check.figures["losses"])

    def broken(module, inputs, output):
        return torch.where(inputs[1][:, None, None, None] > 0.8, torch.nan, output)

    model.task.diffusion.decoder.register_forward_hook(broken)
    broken_check = diffusion_time.loss_by_time(model.task, [batch], "generator", samples=8)
    assert not broken_check.passed and math.isnan(broken_check.figures["losses"][-1])
    assert math.isfinite(broken_check.figures["losses"][0])


def test_an_estimate_that_copies_the_state_is_detected(model, folder, monkeypatch):
    batch = shortened(model.task, talkers.mixtures(folder))

    diffusion = type(model.task.diffusion)
    asked, known = diffusion.loss, {}

    def loss(self, x0, *rest, **named):
        known["x0"] = x0
        return asked(self, x0, *rest, **named)

    monkeypatch.setattr(diffusion, "loss", loss)
    monkeypatch.setattr(diffusion, "_output", lambda self, *inputs: known["x0"])
    assert diffusion_time.follows_face(model.task, [batch]).passed
    model.task.diffusion.sde = build("sde", {"name": "ouve"})
    monkeypatch.setattr(diffusion, "_output", lambda self, x, *rest: x)
    assert not diffusion_time.follows_face(model.task, [batch]).passed


# -- overfitting --------------------------------------------------------------------------------


def test_overfitting_succeeds_for_a_working_model_and_fails_without_learning_rate(model, folder):
    listed, reports = talkers.mixtures(folder), []
    check = overfit(
        model,
        listed,
        None,
        60,
        least=9.0,
        count=2,
        every=10,
        progress=lambda *where: reports.append(where),
    )
    assert check.passed, check.measured
    assert reports[-1] == (check.figures["steps"], check.figures["value"])
    untrainable = talkers.experiment(folder)
    untrainable.config.training["phases"][0] |= {"optimizer": {"name": "sgd", "lr": 1e-9}}
    assert not overfit(untrainable, listed, None, 10, least=9.0, count=2).passed
