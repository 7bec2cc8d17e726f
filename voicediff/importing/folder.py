"""The folder that `voicediff import-checkpoint` writes: `import.yaml` and weights as safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from voicediff.audio import MelSpec
from voicediff.config import dump_yaml, read_yaml
from voicediff.errors import DataError
from voicediff.files import whole_file, write_text
from voicediff.importing.base import Imported
from voicediff.registry import build


def save(imported: Imported, folder: str | Path, source: str, file: str) -> None:
    """Write an imported checkpoint; each file is written atomically."""
    folder = Path(folder)
    for part in imported.parts:
        weights = {name: tensor.contiguous().clone() for name, tensor in part.state_dict.items()}
        with whole_file(folder / f"{part.role}.safetensors") as path:
            save_file(weights, path)
    described = {
        "source": source,
        "file": file,
        "parts": [{"role": p.role, "kind": p.kind, "spec": _plain(p.spec)} for p in imported.parts],
        "sde": imported.sde,
        "objective": imported.objective,
        "stft": imported.stft,
        "left_out": imported.left_out,
    }
    write_text(folder / "import.yaml", dump_yaml(described))


def load(folder: str | Path) -> dict[str, nn.Module]:
    """The networks of such a folder by role, in eval mode. DataError where a file is missing."""
    folder = Path(folder)
    described = read_yaml(folder / "import.yaml")
    return {part["role"]: _network(folder, part, described) for part in described["parts"]}


def _plain(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec as plain YAML values, without the mel description, which is stored for the folder."""
    return {name: value for name, value in spec.items() if not isinstance(value, MelSpec)}


def _network(folder: Path, part: dict[str, Any], described: dict[str, Any]) -> nn.Module:
    path = folder / f"{part['role']}.safetensors"
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: cannot be read ({error}); import the checkpoint again") from error
    mel = {"spec": MelSpec(**described["stft"])} if part["kind"] == "vocoder" else {}
    at = f"{folder / 'import.yaml'}: {part['role']}"
    network = build(part["kind"], part["spec"], at=at, **mel)
    network.load_state_dict(weights, strict=True)
    return network.eval()
