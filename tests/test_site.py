"""The documentation site builds without a warning, and its notebooks run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_layers import LAYER

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built strictly."""
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_site_has_a_page_for_every_package(site):
    pages = {page.stem for page in (site / "api").glob("*.html")}
    assert set(LAYER) - {"__main__", "bin"} | {"parts", "commands", "index"} == pages


def test_api_pages_show_docstrings_and_signatures(site):
    page = (site / "api/diffusion.html").read_text(encoding="utf-8")
    assert "voicediff.diffusion.samplers.heun.Heun" in page
    assert "steps" in page and "Karras et al. 2022" in page
    commands = (site / "api/commands.html").read_text(encoding="utf-8")
    assert "voicediff choose-vocoder" in commands and "--model" in commands


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_notebooks_are_executed_and_small(path):
    nbformat = pytest.importorskip("nbformat")
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs and not [output for output in outputs if output.output_type == "error"]
    assert path.stat().st_size < 300_000
