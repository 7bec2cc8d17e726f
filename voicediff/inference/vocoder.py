"""A vocoder as one object: mel-spectrograms or recordings in, sounds out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from voicediff import experiment
from voicediff.audio import MelSpec, f0, log_mel, read_wav
from voicediff.devices import chosen
from voicediff.diffusion.noise import SeededNoise
from voicediff.errors import DataError
from voicediff.inference.results import Sound
from voicediff.inference.vocoding import Named, find_vocoder


class Vocoder:
    """A vocoder ready for use; `voicediff.load` and `Vocoder.load` make it.

    Attributes:
        title: name for messages.
    """

    def __init__(self, named: Named, device: str | None = "cpu"):
        named = named.to(chosen(device))
        self.module, self.title, self.weights = named.vocoder, named.title, named.weights

    @classmethod
    def load(
        cls,
        name: str | Path | None = None,
        model: str | Path | None = None,
        device: str | None = "cpu",
    ) -> Vocoder:
        """The vocoder of a name.

        Args:
            name: a registered part (`griffin_lim`, `harmonic`), a folder that `voicediff train` or
                `voicediff import-checkpoint` wrote, published weights, or None: the one that the
                acoustic model `model` uses, else Griffin-Lim.
            model: experiment folder of an acoustic model; its mel description is required then.
            device: `cpu`, `cuda`, `cuda:1` or `mps`; None takes a CUDA GPU if there is one.

        Raises ConfigError for an unknown name, DataError where the mel descriptions differ.

        >>> Vocoder.load("griffin_lim").spec.n_mels
        80
        """
        folder = None if model is None else Path(model)
        spec = None if folder is None else experiment.load(folder).task.mel
        return cls(find_vocoder(None if name is None else str(name), spec, folder), device)

    @property
    def spec(self) -> MelSpec:
        """The mel-spectrograms that it reads."""
        return self.module.spec

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.module.sample_rate

    def __repr__(self) -> str:
        return f"Vocoder({self.title!r}, {self.sample_rate} Hz, {self.spec.n_mels} mel bins)"

    @torch.inference_mode()
    def __call__(
        self, mel: np.ndarray | str | Path, f0: np.ndarray | str | Path | None = None, seed: int = 0
    ) -> Sound:
        """Sound of a mel-spectrogram, T * hop samples.

        Args:
            mel: (n_mels, T), natural logarithm, as described by `spec`; or a file: such a mel as
                .npy, features as .npz (`mel`, `f0`), or a recording, which is analysed.
            f0: (T,) in Hz, 0 where unvoiced, or such a .npy file. Needed by vocoders that read F0.
            seed: of the noise.

        Raises DataError for shapes that do not fit and files that cannot be read.
        """
        array, pitch = self._read(mel, f0)
        device = next((p.device for p in self.module.parameters()), torch.device("cpu"))
        given = None if pitch is None else torch.from_numpy(pitch).float()[None].to(device)
        batch = torch.from_numpy(array).float()[None].to(device)
        wav = self.module(batch, given, SeededNoise([seed]))
        return Sound(wav[0].float().cpu().numpy(), self.sample_rate)

    def _read(
        self, source: np.ndarray | str | Path, f0: np.ndarray | str | Path | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """mel (n_mels, T) and F0 (T,) or None, checked."""
        name = "mel" if isinstance(source, np.ndarray) else str(source)
        if isinstance(source, np.ndarray):
            mel, pitch = np.asarray(source, np.float32), None
        else:
            mel, pitch = self._read_file(Path(source), f0 is None)
        if isinstance(f0, np.ndarray):
            pitch = np.asarray(f0, np.float32)
        elif f0 is not None:
            pitch = _array(Path(f0))
        self._check(mel, pitch, name, name if f0 is None or isinstance(f0, np.ndarray) else str(f0))
        return mel, pitch

    def _read_file(self, path: Path, with_f0: bool) -> tuple[np.ndarray, np.ndarray | None]:
        if path.suffix == ".npy":
            return _array(path), None
        if path.suffix == ".npz":
            return _array(path, "mel"), _array(path, "f0")
        return _analysed(path, self.spec, self.module.needs_f0 and with_f0)

    def _check(self, mel: np.ndarray, pitch: np.ndarray | None, name: str, f0_name: str) -> None:
        bins = self.spec.n_mels
        if mel.ndim != 2 or mel.shape[0] != bins or mel.shape[1] == 0:
            raise DataError(
                f"{name}: has shape {mel.shape}, the vocoder reads mels ({bins}, frames)"
            )
        if self.module.needs_f0 and pitch is None:
            raise DataError(
                f"{name}: the vocoder needs F0 beside the mel; give --f0, or --vocoder griffin_lim"
            )
        if pitch is not None and pitch.shape != mel.shape[1:]:
            raise DataError(f"{f0_name}: F0 {pitch.shape} for {mel.shape[1]} frames")


def _analysed(path: Path, spec: MelSpec, with_f0: bool) -> tuple[np.ndarray, np.ndarray | None]:
    wav, rate = read_wav(path, spec.sample_rate)
    if spec.frames(len(wav)) == 0:
        raise DataError(f"{path}: shorter than one frame ({len(wav)} samples)")
    mel = log_mel(torch.from_numpy(wav), spec).numpy()
    return mel, f0(wav, rate, spec.hop) if with_f0 else None


def _array(path: Path, name: str = "") -> np.ndarray:
    try:
        with open(path, "rb") as file:
            content = np.load(file)
            return np.asarray(content[name] if name else content, np.float32)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError, KeyError, EOFError, TypeError) as error:
        raise DataError(f"{path}: not an array of numbers ({error})") from error
