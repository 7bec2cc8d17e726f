"""Sphinx configuration. Build strictly: `python -m sphinx -W --keep-going docs build/site`."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "_extensions")]

project = "voicediff"
author = "voicediff maintainers"
project_copyright = author
version = release = installed("voicediff")

extensions = ["sphinx.ext.autodoc", "myst_nb", "plain_docstrings", "reference_pages", "navigation"]
root_doc = "README"
exclude_patterns = ["examples", "figures", "_extensions"]
linkcheck_ignore = [r"https://github\.com/voicediff/voicediff/"]  # files of this checkout

highlight_language = "none"

html_theme = "furo"
html_title = f"voicediff {version}"
html_copy_source = False
html_theme_options = {
    "source_repository": "https://github.com/voicediff/voicediff/",
    "source_branch": "main",
    "source_directory": "docs/",
}

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # tests/test_notebooks.py runs them

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_use_type_comments = False
add_module_names = False
autodoc_mock_imports = ["bigvgan", "vocos"]
