"""Reading of checkpoints in all their forms, and error messages for those that do not fit."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from seeded import fixture

from voicediff.bin.main import main
from voicediff.diffusion.model import Diffusion
from voicediff.errors import ConfigError, DataError
from voicediff.importing import SOURCES, convert, load, read_checkpoint, save
from voicediff.networks.conditions import Conditions
from voicediff.registry import build


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


def bare(case):
    meta, weights, _ = fixture(case)
    return weights, meta["options"], convert(meta["source"], weights, meta["options"]).parts[0]


def test_every_reference_weight_is_used_once():
    for case in ("gradtts", "sgmse", "sgmse_48k", "wavenet", "lynxnet", "lynxnet2"):
        weights, _, part = bare(case)
        assert sum(t.numel() for t in part.state_dict.values()) == sum(
            t.numel() for t in weights.values()
        )


def test_whole_gradtts_gives_the_same_decoder_and_its_process():
    weights, options, part = bare("gradtts")
    whole = {f"decoder.estimator.{n}": t for n, t in weights.items()}
    whole["encoder.emb.weight"] = torch.zeros(3, 2)
    imported = convert("grad-tts", whole, {**options, "beta_max": 10.0})
    assert same(imported.parts[0].state_dict, part.state_dict)
    assert imported.sde == {"name": "vp_mean", "beta_min": 0.05, "beta_max": 10.0}
    assert "encoder." in imported.left_out and imported.stft["n_mels"] == options["n_feats"]


def test_whole_sgmse_predicts_the_score_of_two_real_channels():
    weights, options, part = bare("sgmse")
    imported = convert("sgmse", {f"dnn.{n}": t for n, t in weights.items()}, options)
    assert imported.parts[0].spec["output_scale"] == -2.0
    assert imported.objective == {"name": "score"}
    assert imported.sde["sigma_max"] == pytest.approx(0.5 / 2**0.5)
    assert same(imported.parts[0].state_dict, part.state_dict)


@pytest.mark.parametrize(
    "given, objective, scale",
    [
        ({"loss_type": "data_prediction", "sde": "sbve"}, "data", 1.0),
        ({"network_scaling": "1/sigma"}, "noise", -(2**0.5)),
        ({"c_out": "1/sigma"}, "noise", -(2**0.5)),
        ({}, "score", 2.0),
    ],
)
def test_objective_of_sgmse_v2_follows_its_loss(given, objective, scale):
    weights, options, _ = bare("sgmse_v2")
    imported = convert(
        "sgmse-v2", {f"dnn.{n}": t for n, t in weights.items()}, {**options, **given}
    )
    assert imported.objective["name"] == objective
    assert imported.objective.get("residual") is (False if objective == "data" else None)
    assert imported.parts[0].spec["output_scale"] == pytest.approx(scale)


def test_lightning_checkpoint_gives_averaged_or_raw_weights():
    weights, options, _ = bare("sgmse")
    shadow = [t + 1 for t in weights.values()]
    checkpoint = {
        "state_dict": {f"dnn.{n}": t for n, t in weights.items()},
        "ema": {"decay": 0.999, "shadow_params": shadow},
        "hyper_parameters": {**options, "lr": 1e-4},
    }
    raw = convert("sgmse", checkpoint, {}, ema=False).parts[0].state_dict
    averaged = convert("sgmse", checkpoint, {}).parts[0].state_dict
    assert all(torch.allclose(averaged[n], raw[n] + 1) for n in raw)


def test_averaged_weights_of_another_count_raise():
    weights, options, _ = bare("sgmse")
    checkpoint = {"state_dict": weights, "ema": {"shadow_params": [torch.zeros(3)]}}
    with pytest.raises(DataError, match="1 averaged weights do not match"):
        convert("sgmse", checkpoint, options)


def test_storm_holds_a_predictor_and_a_decoder():
    score, options, _ = bare("storm_score")
    denoiser, _, _ = bare("storm_denoiser")
    whole = {f"score_net.{n}": t for n, t in score.items()}
    whole |= {f"denoiser_net.{n}": t for n, t in denoiser.items()}
    options = {n: v for n, v in options.items() if n != "input_channels"}
    imported = convert("storm", whole, options)
    assert [(p.role, p.kind) for p in imported.parts] == [
        ("predictor", "predictor"),
        ("decoder", "decoder"),
    ]
    for part in imported.parts:
        build(part.kind, part.spec).load_state_dict(part.state_dict, strict=True)
    assert imported.parts[1].spec["conditions"] == {"mixture": ("maps", 2)}


def test_avdiffuss_holds_two_networks_each_with_its_video_encoder():
    score, options, _ = bare("avdiffuss_score")
    denoiser, _, _ = bare("avdiffuss_denoiser")
    _, lips, _ = fixture("avdiffuss_lips")
    nets = {"score_net": score, "denoiser_net": denoiser}
    whole = {f"{net}.{n}": t for net, weights in nets.items() for n, t in weights.items()}
    whole |= {f"{net}.visual_encoder.{n}": t for net in nets for n, t in lips.items()}
    options = {n: v for n, v in options.items() if n != "input_channels"}
    imported = convert("avdiffuss", whole, options)
    roles = ["predictor", "decoder", "predictor.lips", "decoder.lips"]
    assert [part.role for part in imported.parts] == roles
    for part in imported.parts:
        build(part.kind, part.spec).load_state_dict(part.state_dict, strict=True)


def test_flow_backbone_of_diffsinger_has_reversed_time():
    weights, options, part = bare("wavenet")
    whole = {f"model.diffusion.velocity_fn.{n}": t for n, t in weights.items()}
    whole["model.fs2.txt_embed.weight"] = torch.zeros(2, 2)
    imported = convert("diffsinger", whole, options)
    assert same(imported.parts[0].state_dict, part.state_dict)
    spec = imported.parts[0].spec
    assert spec["reversed_time"] and spec["output_scale"] == -1.0
    assert imported.objective == {"name": "velocity"}


def test_every_process_and_objective_of_an_import_builds_together():
    whole = {
        "gradtts": "decoder.estimator.",
        "sgmse": "dnn.",
        "sgmse_v2": "dnn.",
        "storm_score": "score_net.",
        "wavenet": "diffusion.velocity_fn.",
        "lynxnet": "diffusion.denoise_fn.",
    }
    for case, prefix in whole.items():
        meta, weights, _ = fixture(case)
        renamed = {prefix + name: tensor for name, tensor in weights.items()}
        imported = convert(meta["source"], renamed, meta["options"])
        decoder = build("decoder", imported.parts[-1].spec)
        Diffusion(decoder, build("sde", imported.sde), build("objective", imported.objective))


def test_discrete_steps_of_diffsinger_start_at_one():
    weights, options, _ = bare("wavenet")
    x, t = torch.randn(1, 1, 10, 9), torch.tensor([0.25])
    cond, mask = Conditions(frames={"encoder": torch.randn(1, 9, 6)}), torch.ones(1, 9).bool()
    answers = []
    for prefix, time in (("", t), ("diffusion.denoise_fn.", t + 1e-3)):
        renamed = {prefix + name: tensor for name, tensor in weights.items()}
        part = convert("diffsinger", renamed, options).parts[0]
        decoder = build("decoder", part.spec).eval()
        decoder.load_state_dict(part.state_dict)
        answers.append(decoder(x, time, x, cond, mask))
    torch.testing.assert_close(*answers, atol=1e-4, rtol=1e-4)


def test_misfit_names_keys():
    weights, options, _ = bare("sgmse")
    weights.pop("all_modules.3.bias")
    weights["extra.weight"] = torch.zeros(1)
    with pytest.raises(DataError, match=r"not expected extra\.weight"):
        convert("sgmse", weights, options)
    weights.pop("extra.weight")
    with pytest.raises(DataError, match=r"nothing for network\.body\.input\.bias"):
        convert("sgmse", weights, options)


def test_misfit_names_both_shapes():
    weights, options, _ = bare("gradtts")
    with pytest.raises(
        DataError, match=r"to_qkv\.weight is \(384, 16, 1, 1\), the options say \(384, 8,"
    ):
        convert("grad-tts", weights, {**options, "dim": 8})


def test_unknown_source_option_and_variant_are_named():
    weights, options, _ = bare("sgmse")
    with pytest.raises(ConfigError, match="no source 'sgmsee'; choices: grad-tts"):
        convert("sgmsee", weights, {})
    with pytest.raises(ConfigError, match="no option 'nff'"):
        convert("sgmse", weights, {"nff": 8})
    with pytest.raises(ConfigError, match="fir=False is not supported"):
        convert("sgmse", weights, {**options, "fir": False})
    with pytest.raises(DataError, match="no weights found"):
        convert("sgmse", {"epoch": 3}, {})


class Hostile:
    def __reduce__(self):
        return exec, ("raise SystemExit('code in a checkpoint was run')",)


class Harmless:
    """A class of the other project, as Lightning stores them among hyper-parameters."""


def test_checkpoint_code_is_never_run(tmp_path):
    for protocol, legacy in ((2, False), (2, True)):
        path = tmp_path / f"hostile{legacy}.ckpt"
        content = {"state_dict": {"a": torch.zeros(2)}, "x": Hostile()}
        torch.save(
            content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy
        )
        try:
            read = read_checkpoint(path)
        except DataError as error:
            assert "cannot be read" in str(error) or "not a checkpoint" in str(error)
        else:
            assert torch.equal(read["state_dict"]["a"], torch.zeros(2))


def test_classes_among_hyper_parameters_do_not_matter(tmp_path):
    torch.save(
        {
            "state_dict": {"a": torch.ones(2)},
            "hyper_parameters": {"cls": Harmless, "x": Harmless()},
        },
        tmp_path / "x.ckpt",
    )
    assert torch.equal(read_checkpoint(tmp_path / "x.ckpt")["state_dict"]["a"], torch.ones(2))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", [b"", b"nothing", pickle.dumps([1, 2])])
def test_files_that_are_no_checkpoints_raise(tmp_path, content):
    path = tmp_path / "broken.ckpt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.ckpt: "):
        read_checkpoint(path)


def test_command_writes_a_folder_that_loads(tmp_path, capsys):
    weights, options, part = bare("gradtts")
    torch.save(weights, tmp_path / "grad-tts.pt")
    options = [f"--option={n}={v}" for n, v in options.items()]
    args = ["import-checkpoint", "grad-tts", str(tmp_path / "grad-tts.pt"), *options]
    assert main([*args, "--out", str(tmp_path / "out")]) == 0
    assert "decoder unet" in capsys.readouterr().out
    assert same(load(tmp_path / "out")["decoder"].state_dict(), part.state_dict)


def test_both_forms_of_weight_norm_give_the_same_generator():
    weights, options, part = bare("hifigan_v1")
    new = {"weight_g": "parametrizations.weight.original0"}
    new |= {"weight_v": "parametrizations.weight.original1"}
    renamed = {}
    for name, tensor in weights.items():
        stem, _, last = name.rpartition(".")
        renamed[f"{stem}.{new.get(last, last)}"] = tensor
    other = convert("hifigan", {"generator": renamed}, options).parts[0]
    assert same(other.state_dict, part.state_dict)


def test_vocoder_folder_loads_with_its_mel(tmp_path):
    weights, options, part = bare("hifigan_v3")
    save(convert("hifigan", weights, options), tmp_path / "out", "hifigan", "g.pt")
    vocoder = load(tmp_path / "out")["vocoder"]
    assert vocoder.spec == part.spec["spec"] and same(vocoder.state_dict(), part.state_dict)


def test_command_reports_in_one_line_what_does_not_fit(tmp_path, capsys):
    torch.save({"a": torch.zeros(2)}, tmp_path / "x.pt")
    args = ["import-checkpoint", "sgmse", str(tmp_path / "x.pt"), "--out", str(tmp_path / "out")]
    assert main(args) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_every_source_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "checkpoints.md").read_text(encoding="utf-8")
    assert all(f"`{source}`" in text for source in SOURCES)
