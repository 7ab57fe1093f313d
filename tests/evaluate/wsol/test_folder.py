from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from wsl.errors import ConfigError, DataError
from wsl.evaluate.certainty.resampling import Resampling
from wsl.evaluate.certainty.run_files import compare_runs, read_groups
from wsl.evaluate.files.options import add_intervals, write_evaluation
from wsl.evaluate.localization.max_box_acc import MaxBoxAcc
from wsl.evaluate.localization.pixel_ap import PixelAp
from wsl.evaluate.localization.pixel_protocols import PIXEL_PROTOCOLS
from wsl.evaluate.result import Score, name_table
from wsl.evaluate.wsol.folder import evaluate_wsol_folder
from wsl.evaluate.wsol.masks import WsolMasks
from wsl.evaluate.wsol.metadata import read_wsol_metadata
from wsl.types import Box, ClassSet

IDS = ("x/a.jpeg", "b.jpeg", "c.jpeg")
LABELS = (0, 1, 0)
SIZE = (40, 60)
BOXES = ((5, 5, 40, 30), (0, 0, 20, 20), (30, 10, 59, 39))


def write_metadata(folder: Path, boxes: bool, sizes: bool = True) -> Path:
    folder.mkdir()
    (folder / "image_ids.txt").write_text("\n".join(IDS))
    (folder / "class_labels.txt").write_text(
        "\n".join(f"{name},{label}" for name, label in zip(IDS, LABELS, strict=True))
    )
    (folder / "image_sizes.txt").write_text("\n".join(f"{name},60,40" for name in IDS) if sizes else "")
    lines = [f"{name},{box[0]},{box[1]},{box[2]},{box[3]}" for name, box in zip(IDS, BOXES, strict=True)]
    masks = [f"{name},{Path(name).stem}.png," for name in IDS]
    (folder / "localization.txt").write_text("\n".join(lines if boxes else masks))
    return folder


def make_maps(size: tuple[int, int] = SIZE) -> dict[str, np.ndarray]:
    """A bump on each object, a little off."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    maps = {}
    for name, (x0, y0, x1, y1) in zip(IDS, BOXES, strict=True):
        x, y = (x0 + x1) / 2 + generator.normal() * 3, (y0 + y1) / 2 + generator.normal() * 3
        bump = np.exp(-(((columns - x) / (x1 - x0)) ** 2) - ((rows - y) / (y1 - y0)) ** 2)
        maps[name] = cv2.resize(bump, size[::-1])
    return maps


def save_maps(folder: Path, maps: dict[str, np.ndarray]) -> Path:
    for name, score_map in maps.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{name}.npy", score_map)
    return folder


def make_masks(folder: Path) -> dict[str, np.ndarray]:
    folder.mkdir()
    masks = {}
    for name, (x0, y0, x1, y1) in zip(IDS, BOXES, strict=True):
        masks[name] = np.zeros(SIZE, bool)
        masks[name][y0:y1, x0:x1] = True
        cv2.imwrite(str(folder / f"{Path(name).stem}.png"), masks[name].astype(np.uint8) * 255)
    return masks


def score_folder(*sides: Any, **options: Any) -> list[Score]:
    return evaluate_wsol_folder(*sides, **options).scores


def strip(scores: list[Score]) -> list[tuple]:
    return [(score.name, score.value, score.per_class, score.threshold, score.curve) for score in scores]


@pytest.mark.parametrize("protocol", ["original", "wsolevaluation"])
def test_boxes_are_scored_as_by_max_box_acc(tmp_path: Path, protocol: str) -> None:
    maps = make_maps()
    folder = save_maps(tmp_path / "maps", maps | {"other.jpeg": maps["b.jpeg"]})
    expected = MaxBoxAcc(protocol=protocol)
    for name, label, box in zip(IDS, LABELS, BOXES, strict=True):
        expected.update(maps[name], [Box(tuple(map(float, box)), label + 1)], SIZE, name)
    names = ClassSet(("cat", "dog"))
    scores = score_folder(folder, write_metadata(tmp_path / "meta", True), protocol=protocol, classes=names)
    assert strip(scores) == strip(expected.scores(names))
    assert scores[0].counts["maps without image"] == 1
    assert 0 < scores[0].value <= 1


@pytest.mark.parametrize("protocol", ["original", "wsolevaluation"])
@pytest.mark.parametrize("sizes", [True, False])
def test_masks_are_scored_as_by_pixel_ap(tmp_path: Path, protocol: str, sizes: bool) -> None:
    side = SIZE if sizes or protocol == "original" else (224, 224)
    maps, masks = make_maps(side), make_masks(tmp_path / "masks")
    expected = PixelAp(protocol)
    for name, label in zip(IDS, LABELS, strict=True):
        expected.update(maps[name], masks[name], None, label + 1, name)
    metadata = write_metadata(tmp_path / "meta", False, sizes)
    scores = score_folder(save_maps(tmp_path / "maps", maps), metadata, tmp_path / "masks", protocol=protocol)
    assert strip(scores) == strip(expected.scores())
    assert [score.name for score in scores] == ["PxAP", "pIoU"]


def test_decoded_masks_serve_several_folders(tmp_path: Path) -> None:
    make_masks(tmp_path / "masks")
    metadata = read_wsol_metadata(write_metadata(tmp_path / "meta", False))
    folder = save_maps(tmp_path / "maps", make_maps())
    masks = WsolMasks(metadata, tmp_path / "masks", PIXEL_PROTOCOLS["wsolevaluation"])
    first = score_folder(folder, metadata, masks)
    for file in (tmp_path / "masks").iterdir():
        file.unlink()
    assert score_folder(folder, metadata, masks) == first
    with pytest.raises(ConfigError, match="opened for another protocol"):
        score_folder(folder, metadata, masks, protocol="original")


def test_rankings_add_top_k(tmp_path: Path) -> None:
    metadata = write_metadata(tmp_path / "meta", True)
    folder = save_maps(tmp_path / "maps", make_maps())
    (tmp_path / "r.csv").write_text("x/a.jpeg,0,1,2,3,4\nb.jpeg,0,1,2,3,4\nc.jpeg,4,3,2,1,5\n")
    plain = score_folder(folder, metadata)
    scores = score_folder(folder, metadata, rankings=tmp_path / "r.csv")
    assert strip(scores[: len(plain)]) == strip(plain)
    by_name = {score.name: score for score in scores}
    known = by_name["MaxBoxAccV1@0.5"]
    assert (by_name["GT-known Loc@0.5"].value, known.value) == (known.value, 1.0)
    assert by_name["Top-1 Loc@0.5"].value == 1 / 3
    assert by_name["Top-5 Loc@0.5"].value == 2 / 3
    assert by_name["Top-5 Loc@0.5"].conventions["box"] == "largest contour"
    (tmp_path / "r.csv").write_text("x/a.jpeg,0,1\nb.jpeg,0\nc.jpeg,4,3,2,1,5\n")
    names = [score.name for score in score_folder(folder, metadata, rankings=tmp_path / "r.csv")]
    assert names[-2:] == ["Top-1 Loc@0.5", "GT-known Loc@0.5"]


@pytest.mark.parametrize("boxes", [True, False])
def test_tables_give_the_scores_and_intervals(tmp_path: Path, boxes: bool) -> None:
    make_masks(tmp_path / "masks")
    metadata, maps = write_metadata(tmp_path / "meta", boxes), save_maps(tmp_path / "maps", make_maps())
    names = ClassSet(("cat", "dog"))
    found = evaluate_wsol_folder(maps, metadata, tmp_path / "masks", classes=names)
    expected = ("MaxBoxAccV2 (oracle)", "MaxBoxAccV1@0.5 (oracle)") if boxes else ("PxAP", "pIoU (oracle)")
    assert set(found.tables) == set(expected)
    for score in found.scores:
        if name_table(score) in found.tables:
            (measured,) = found.tables[name_table(score)].measure(np.ones((1, 3)))
            assert measured == pytest.approx(score.value, abs=1e-12)
    scores = add_intervals(found, Resampling(50)).scores
    assert [score.name for score in scores if score.interval] == (
        ["MaxBoxAccV2", "MaxBoxAccV1@0.5"] if boxes else ["PxAP", "pIoU"]
    )
    assert found.about == {"classes": ["background", "cat", "dog"]}


def test_runs_on_metadata_can_be_compared(tmp_path: Path) -> None:
    metadata = write_metadata(tmp_path / "meta", True)
    for name, shift in (("good", 0), ("bad", 12)):
        maps = {each: np.roll(score_map, shift, axis=1) for each, score_map in make_maps().items()}
        found = evaluate_wsol_folder(save_maps(tmp_path / f"maps {name}", maps), metadata)
        write_evaluation(tmp_path / name, found)
    rows = compare_runs(read_groups([str(tmp_path / "good"), str(tmp_path / "bad")]), Resampling(20))
    difference = {(row.score, row.run): row.difference for row in rows if row.class_id is None}
    assert difference["MaxBoxAccV2 (oracle)", "bad"].difference < 0


def test_too_few_class_names_are_told_before_maps_are_read(tmp_path: Path) -> None:
    metadata = write_metadata(tmp_path / "meta", True)
    message = r"class_labels\.txt: its labels go up to 1, which needs 2 class names, but --classes gives 1"
    with pytest.raises(ConfigError, match=message):
        score_folder(tmp_path / "no maps", metadata, classes=ClassSet(("cat",)))


@pytest.mark.parametrize("boxes", [True, False])
def test_missing_maps_by_policy(tmp_path: Path, boxes: bool) -> None:
    make_masks(tmp_path / "masks")
    maps = make_maps()
    del maps["b.jpeg"]
    sides = save_maps(tmp_path / "maps", maps), write_metadata(tmp_path / "meta", boxes), tmp_path / "masks"
    with pytest.raises(DataError, match=r"no map for 1 of 3 images, the first is 'b\.jpeg'"):
        score_folder(*sides)
    for missing, pairs in (("skip", 2), ("constant", 3)):
        for protocol in ("wsolevaluation", "original"):
            counts = score_folder(*sides, missing=missing, protocol=protocol)[0].counts
            assert counts["image-class pairs"] == pairs
            assert counts["constant maps"] == pairs - 2
            assert counts["images without map"] == 1
    if boxes:
        scores = {score.name: score for score in score_folder(*sides, missing="constant")}
        assert scores["MaxBoxAccV1@0.5"].per_class == {"class 1": {"accuracy": 1.0}, "class 2": {"accuracy": 0.0}}


def test_the_map_of_the_images_class_is_taken(tmp_path: Path) -> None:
    metadata, maps = write_metadata(tmp_path / "meta", True), make_maps()
    single = score_folder(save_maps(tmp_path / "maps", maps), metadata)
    noise = np.random.default_rng(1).random(SIZE)
    stacked = {
        name: np.stack([maps[name], noise] if label == 0 else [noise, maps[name]])
        for name, label in zip(IDS, LABELS, strict=True)
    }
    assert score_folder(save_maps(tmp_path / "stacks", stacked), metadata) == single
    read = score_folder(tmp_path / "maps", metadata, read_map=lambda path: (np.load(path)[None], ()))
    assert read == single


def test_maps_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    boxes, masks = write_metadata(tmp_path / "boxes", True), write_metadata(tmp_path / "meta", False)
    make_masks(tmp_path / "masks")
    small = save_maps(tmp_path / "small", make_maps((14, 14)))
    with pytest.raises(DataError, match=r"x/a\.jpeg: .*14x14"):
        score_folder(small, boxes)
    with pytest.raises(DataError, match=r"x/a\.jpeg: expected a score map of \(40, 60\) or \(224, 224\)"):
        score_folder(small, masks, tmp_path / "masks")
    broken = save_maps(tmp_path / "broken", {name: np.full(SIZE, np.nan) for name in IDS})
    for metadata in (boxes, masks):
        with pytest.raises(DataError, match=r"x/a\.jpeg: expected finite scores"):
            score_folder(broken, metadata, tmp_path / "masks")


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    boxes, masks = write_metadata(tmp_path / "boxes", True), write_metadata(tmp_path / "meta", False)
    maps = save_maps(tmp_path / "maps", make_maps())
    with pytest.raises(ConfigError, match=r"Did you mean: wsolevaluation\?"):
        score_folder(maps, boxes, protocol="wsolevaluaton")
    with pytest.raises(ConfigError, match="lists masks; give --mask-root"):
        score_folder(maps, masks)
    with pytest.raises(ConfigError, match="Top-k localization needs boxes"):
        score_folder(maps, masks, tmp_path, rankings=tmp_path / "r.csv")
    with pytest.raises(ConfigError, match="interval"):
        score_folder(maps, boxes, interval=0.0)
    (boxes / "image_sizes.txt").write_text("")
    with pytest.raises(DataError, match=r"image_sizes\.txt: missing or empty, but boxes need the sizes"):
        score_folder(maps, boxes)
