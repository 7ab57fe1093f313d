"""One image of a run: its truth is drawn at the size of the image, whatever the maps say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from wsl.data.label_maps import write_label_map
from wsl.errors import DataError
from wsl.files import write_json
from wsl.pipeline.run_case import RunCase
from wsl.pipeline.work import StageFiles
from wsl.types import Box, Instance, MaskSource, Sample, ScoreMaps

POLYGON = [1.0, 1.0, 5.0, 1.0, 5.0, 4.0, 1.0, 4.0]


def make_case(folder: Path, size: tuple[int, int], map_size: tuple[int, int], *, masks: bool = True) -> RunCase:
    """An image of `size` with one polygon, and results of `map_size`."""
    PIL.Image.new("RGB", (size[1], size[0])).save(folder / "a.png")
    instance = Instance(1, Box((1, 1, 5, 4), 1), segmentation=[POLYGON])
    mask = MaskSource("instances") if masks else None
    sample = Sample("a", folder / "a.png", (1,), (instance,), mask)
    files = StageFiles(folder)
    for path in (files.seeds("a"), files.refined("a")):
        write_label_map(path, np.zeros(map_size, np.uint8))
    write_json(files.boxes("a"), {"boxes": []})
    maps = ScoreMaps("a", np.zeros((1, *map_size), np.float32), (1,), map_size)
    return RunCase(sample, maps, None, (), files, 1)


def test_truth_is_drawn_at_the_size_of_the_image(tmp_path: Path) -> None:
    case = make_case(tmp_path, (6, 8), (6, 8)).load()
    assert case.truth.shape == (6, 8)
    assert case.truth.sum() == 12


@pytest.mark.parametrize("masks", [True, False])
def test_maps_for_another_size_are_refused(tmp_path: Path, masks: bool) -> None:
    case = make_case(tmp_path, (6, 8), (12, 16), masks=masks)
    with pytest.raises(DataError, match=r"a: the maps are for an image of 12x16, but .*a.png is 6x8 .*make the maps"):
        case.load()
