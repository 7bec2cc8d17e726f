"""Vocoders by name, by folder, a model's own; and the choice between several."""

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from voicediff import experiment
from voicediff.audio import MelSpec, write_wav
from voicediff.bin.choose_vocoder import best
from voicediff.bin.main import main
from voicediff.config import dump_yaml
from voicediff.errors import ConfigError, DataError
from voicediff.experiment import read_config
from voicediff.inference.vocoding import chosen, find_vocoder, keep
from voicediff.vocoders import GriffinLim, HiFiGAN, SourceVocos

SPEC = MelSpec()
TASK = {"name": "vocoder", "vocoder": {"name": "vocos_source", "channels": 8, "layers": 1}}


def trained(folder, **mel):
    """An experiment folder of a small vocoder with random weights."""
    spec = MelSpec(**mel)
    folder.mkdir(parents=True)
    conf = folder.with_suffix(".yaml")
    conf.write_text(dump_yaml({"task": {**TASK, "mel": spec.to_dict()}, "training": {}}))
    config = read_config(conf)
    weights = config.build_task().state_dict()
    experiment.create(folder, config, None)
    (folder / "checkpoints").mkdir()
    experiment.write_weights(folder / "last.safetensors", weights, weights, 1, folder / "assets")
    return folder


@pytest.fixture
def neural(tmp_path):
    return trained(tmp_path / "exp/vocoder_small")


def sound(vocoder):
    mel = torch.linspace(-3, -7, SPEC.n_mels)[None, :, None].repeat(1, 1, 20)
    with torch.inference_mode():
        return vocoder(mel, torch.full((1, 20), 200.0))


def test_names_of_parts_and_of_folders(neural):
    assert isinstance(find_vocoder("griffin_lim", SPEC).vocoder, GriffinLim)
    assert isinstance(find_vocoder(None, SPEC).vocoder, GriffinLim)
    found = find_vocoder(str(neural), SPEC)
    assert isinstance(found.vocoder, SourceVocos) and not found.vocoder.training
    assert found.title == "vocoder_small" and len(found.weights) == 12


def test_a_model_keeps_a_whole_copy_of_its_vocoder(neural, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    assert chosen(model) == "griffin_lim"
    expected = sound(find_vocoder(str(neural), SPEC).vocoder)
    keep(model, "neural", {"measured": {"mcd": 1.0}}, neural)
    neural.rename(neural.with_name("gone"))
    moved = model.rename(tmp_path / "moved")
    found = find_vocoder(None, SPEC, moved)
    assert found.title == "neural" and torch.equal(sound(found.vocoder), expected)
    assert not (moved / "vocoder/checkpoints").exists()
    keep(moved, "harmonic", {})
    assert find_vocoder(None, SPEC, moved).title == "harmonic"
    assert find_vocoder("neural", SPEC, moved).title == "neural"


def test_other_mel_descriptions_are_refused_with_the_fields_that_differ(tmp_path):
    other = trained(tmp_path / "other", fmax=11000.0, n_mels=100)
    with pytest.raises(DataError, match=r"n_mels 100 against 80, fmax 11000 against 8000"):
        find_vocoder(str(other), SPEC)


def test_imported_weights_are_a_vocoder_as_well(tmp_path):
    spec = {"name": "hifigan", "channels": 8, "rates": [16, 16], "kernels": [32, 32]}
    spec |= {"block_kernels": [3], "block_dilations": [[1]]}
    torch.manual_seed(0)
    given = HiFiGAN(SPEC, **{k: v for k, v in spec.items() if k != "name"})
    save_file(given.state_dict(), tmp_path / "vocoder.safetensors")
    about = {"parts": [{"role": "vocoder", "kind": "vocoder", "spec": spec}]}
    about |= {"stft": SPEC.to_dict()}
    (tmp_path / "import.yaml").write_text(dump_yaml(about))
    found = find_vocoder(str(tmp_path), SPEC)
    assert torch.equal(sound(found.vocoder), sound(given.eval()))


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("grifin_lim", ConfigError, "did you mean 'griffin_lim'"),
        ("exp/nothing", DataError, "no such folder"),
        ("neural", ConfigError, "has no vocoder of its own"),
    ],
)
def test_mistaken_names_are_one_line(tmp_path, name, error, message):
    with pytest.raises(error, match=message):
        find_vocoder(name, SPEC, tmp_path)


def row(mcd, stft=1.0, periodicity=0.1, copy=0.4):
    made = {"mcd": mcd, "multi_stft": stft, "periodicity_error": periodicity}
    return {"generated": made, "copy": made | {"mcd": copy}}


def test_the_best_is_better_on_the_whole_and_nowhere_much_worse():
    first = row(5.0)
    assert best({"griffin_lim": first}) == "griffin_lim"
    assert best({"griffin_lim": first, "n": row(4.8, 0.9, 0.08)}) == "n"
    assert best({"griffin_lim": first, "n": row(4.0, 1.1, 0.08)}) == "griffin_lim"
    assert best({"griffin_lim": first, "n": row(4.8, 0.9, 0.08, copy=0.75)}) == "griffin_lim"
    assert best({"griffin_lim": first, "n": row(4.8, 0.97, 0.102)}) == "n"
    assert best({"griffin_lim": first, "n": row(4.99, 1.0, 0.102)}) == "griffin_lim"
    both = {"griffin_lim": first, "n": row(4.8, 0.9, 0.08), "m": row(4.7, 0.9, 0.07)}
    assert best(both) == "m"


def test_vocode_reads_mels_features_and_recordings(neural, tmp_path):
    time = np.arange(SPEC.sample_rate // 2) / SPEC.sample_rate
    wav = 0.2 * np.sin(2 * np.pi * 220 * time).astype(np.float32)
    write_wav(tmp_path / "in.wav", wav, SPEC.sample_rate)
    mel = np.full((SPEC.n_mels, 30), -5.0, np.float16)
    np.save(tmp_path / "mel.npy", mel)
    np.save(tmp_path / "f0.npy", np.full(30, 200.0, np.float32))
    np.savez(tmp_path / "both.npz", mel=mel, f0=np.full(30, 200.0, np.float32), key="x")
    out = tmp_path / "out.wav"
    calls = [
        ["in.wav", str(neural)],
        ["mel.npy", "griffin_lim"],
        ["mel.npy", str(neural), "--f0", str(tmp_path / "f0.npy")],
        ["both.npz", "harmonic"],
    ]
    for name, vocoder, *more in calls:
        words = ["vocode", str(tmp_path / name), "-o", str(out), "--vocoder", vocoder, *more]
        assert main(words) == 0
        frames = len(wav) // SPEC.hop if name == "in.wav" else 30
        assert soundfile.info(out).frames == frames * SPEC.hop
        out.unlink()


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((80, 30), ["--vocoder", "harmonic"], "needs F0 beside the mel; give --f0"),
        ((100, 30), [], "has shape (100, 30), the vocoder reads mels (80, frames)"),
        (None, [], "no such file"),
    ],
)
def test_input_that_does_not_fit_is_one_line_and_nothing_is_written(
    tmp_path, capsys, shape, options, message
):
    if shape:
        np.save(tmp_path / "mel.npy", np.zeros(shape, np.float32))
    words = ["vocode", str(tmp_path / "mel.npy"), "-o", str(tmp_path / "out.wav"), *options]
    assert main(words) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out.wav").exists()
