"""Real recordings that some tests read, below the folder named by VOICEDIFF_REAL_DATA.

They are not part of the project. Without the variable, or without the folder, such tests are skipped.

    little_star/{wav,mid,txt}/little_star.*   one song in MLP Singer's layout, 42 notes
    grid/*.mpg                                clips of the GRID corpus
"""

import os
from pathlib import Path

import pytest

VARIABLE = "VOICEDIFF_REAL_DATA"
_FOLDER = os.environ.get(VARIABLE, "")
LITTLE_STAR, GRID = Path(_FOLDER, "little_star"), Path(_FOLDER, "grid")


def _needs(folder: Path) -> pytest.MarkDecorator:
    reason = f"no folder {folder}" if _FOLDER else f"{VARIABLE} does not name a folder with it"
    return pytest.mark.skipif(not _FOLDER or not folder.is_dir(), reason=f"{folder.name}: {reason}")


needs_little_star = _needs(LITTLE_STAR)
needs_grid = _needs(GRID)
