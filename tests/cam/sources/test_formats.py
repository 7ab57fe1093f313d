"""The examples of the documentation: each is read, and its format is the one that it is said to be."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsl.cam.preset import PRESETS
from wsl.cam.sources.folder import open_map_folder, read_maps
from wsl.cam.sources.formats import list_formats
from wsl.types import ClassSet, Sample

PAGE = Path(__file__).parents[3] / "docs" / "score_sources.md"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that the page's examples write, maps_npz and so on."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf8"), re.M | re.S):
            exec(compile(block, str(PAGE), "exec"), {})
    Image.new("RGB", (48, 48)).save(folder / "val_0000.png")
    return folder


@pytest.mark.parametrize("name", list_formats())
def test_examples_of_the_page_are_of_their_format(name: str, written: Path) -> None:
    sample = Sample("val_0000", written / "val_0000.png", (1, 3))
    classes = ClassSet(("fish", "kite", "leaf"))
    folder = open_map_folder(written / f"maps_{name}", format="auto", samples=[sample], classes=classes)
    assert (folder.format, folder.raw) == (name, False)
    stored = read_maps(folder, sample, PRESETS["irn"])
    assert stored.pyramid.class_ids == (1, 3)
    assert np.ptp(stored.pyramid.levels[0]) > 0.3


def test_the_page_lists_every_format() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf8"), re.M) == list_formats()
