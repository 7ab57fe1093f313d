"""What is exported, what is left for review, and the tables that say why."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.drawn import QUICK, draw_voc
from wsl.cli.main import main
from wsl.data.label_maps import read_label_map, write_label_map
from wsl.quality.regions import find_regions

IMAGES = 12


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_voc(tmp_path_factory.mktemp("voc"), train=8, val=4)


@pytest.fixture(scope="module")
def finished(voc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with export.keep=0.5."""
    output = tmp_path_factory.mktemp("run") / "run"
    run_stage(voc, output, "run", "export.keep=0.5")
    return output


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def run_stage(voc: Path, output: Path, stage: str, *settings: str) -> int:
    code = main([stage, "--quiet", *QUICK, "train.epochs=1", f"data.root={voc}", f"output={output}", *settings])
    assert code in (0, 4)
    return code


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf8", newline="") as stream:
        return list(csv.DictReader(stream))


def names(run: Path, folder: str = "Segmentation") -> list[str]:
    return (run / "export" / "voc" / "ImageSets" / folder / "all.txt").read_text().split()


def annotations(run: Path) -> dict[str, list[dict]]:
    content = json.loads((run / "export" / "coco" / "annotations" / "instances.json").read_text())
    by_number = {image["id"]: Path(image["file_name"]).stem for image in content["images"]}
    found: dict[str, list[dict]] = {name: [] for name in by_number.values()}
    for annotation in content["annotations"]:
        found[by_number[annotation["image_id"]]].append(annotation)
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_most_confident_half_is_exported_and_the_rest_listed(finished: Path) -> None:
    rows = read_table(finished / "export" / "confidence.csv")
    images = [row for row in rows if row["class"] == ""]
    assert len(images) == IMAGES
    kept = {row["image_id"]: float(row["confidence"]) for row in images if row["state"] == "kept"}
    left = {row["image_id"]: float(row["confidence"]) for row in images if row["state"] == "left out"}
    with_objects = {row["image_id"] for row in rows if row["class"] != ""}
    assert len(left) == len(with_objects) // 2
    assert left.keys() <= with_objects
    assert min(kept.values()) >= max(left.values())
    assert set(names(finished)) == set(names(finished, "Main")) == set(annotations(finished)) == set(kept)
    masks = (finished / "export" / "voc" / "SegmentationClass").iterdir()
    assert {path.stem for path in masks} == set(kept)


def test_the_review_list_has_the_least_confident_first_with_reasons(finished: Path) -> None:
    rows = read_table(finished / "export" / "review.csv")
    images = read_table(finished / "export" / "confidence.csv")
    left = {row["image_id"] for row in images if row["state"] == "left out"}
    assert {row["image_id"] for row in rows} == left
    values = [float(row["confidence"]) for row in rows]
    assert values == sorted(values)
    assert all(row["reasons"] and Path(row["path"]).is_file() for row in rows)


def test_every_region_has_a_confidence_in_table_and_annotations(finished: Path) -> None:
    rows = read_table(finished / "export" / "confidence_regions.csv")
    for image_id, found in annotations(finished).items():
        mine = [row for row in rows if row["image_id"] == image_id]
        assert [int(row["region"]) for row in mine] == list(range(1, len(found) + 1))
        assert [float(row["confidence"]) for row in mine] == [each["confidence"] for each in found]
        assert [int(row["area"]) for row in mine] == [each["area"] for each in found]
        assert {each["score"] for each in found} != {each["confidence"] for each in found} or not found


def test_everything_is_exported_by_default_and_nothing_is_listed(run: Path, voc: Path) -> None:
    run_stage(voc, run, "export")
    assert len(names(run)) == IMAGES
    assert not (run / "export" / "review.csv").exists()
    assert {row["state"] for row in read_table(run / "export" / "confidence.csv")} == {"kept"}


def test_no_list_is_written_where_none_is_wanted(run: Path, voc: Path) -> None:
    run_stage(voc, run, "export", "export.keep=0.5", "export.review=none")
    assert not (run / "export" / "review.csv").exists()
    assert len(names(run)) < IMAGES


def test_regions_below_the_least_confidence_are_not_sure(run: Path, voc: Path) -> None:
    before = {path.stem: read_label_map(path) for path in sorted((run / "refined").glob("*.png"))}
    rows = read_table(run / "export" / "confidence_regions.csv")
    least = float(np.median([float(row["confidence"]) for row in rows])) + 1e-6
    run_stage(voc, run, "export", f"export.min_confidence={least}")
    dropped = 0
    for image_id, found in annotations(run).items():
        exported = read_label_map(run / "export" / "voc" / "SegmentationClass" / f"{image_id}.png")
        expected, number = before[image_id].copy(), 0
        mine = [row for row in rows if row["image_id"] == image_id]
        for class_id in (1, 2, 3):
            regions = find_regions(before[image_id] == class_id)
            for region in range(1, regions.count + 1):
                if float(mine[number]["confidence"]) < least:
                    expected[regions.labels == region] = 255
                    dropped += 1
                number += 1
        np.testing.assert_array_equal(exported, expected)
        assert all(each["confidence"] >= least for each in found)
    assert 0 < dropped < len(rows)
    states = {row["state"] for row in read_table(run / "export" / "confidence_regions.csv")}
    assert states == {"kept", "left out"}


def test_specks_are_no_objects_but_stay_in_the_label_maps(run: Path, voc: Path) -> None:
    paths = sorted((run / "refined").glob("*.png"))
    for path in paths:
        label_map = read_label_map(path)
        label_map[:3, :4] = 0
        label_map[1, 1:3] = 1
        write_label_map(path, label_map)
    run_stage(voc, run, "export", "export.keep=1", "export.min_area=3")
    rows, found = read_table(run / "export" / "confidence_regions.csv"), annotations(run)
    assert min(int(row["area"]) for row in rows) >= 3
    assert len(rows) == sum(map(len, found.values()))
    assert min(each["area"] for rows_of_image in found.values() for each in rows_of_image) >= 3
    folder = run / "export" / "voc" / "SegmentationClass"
    for path in paths:
        np.testing.assert_array_equal(read_label_map(folder / path.name), read_label_map(path))
    run_stage(voc, run, "export", "export.keep=1", "export.min_area=3", "export.min_confidence=1e-6")
    for path in paths:  # what has no confidence is not sure where one is asked for
        exported = read_label_map(folder / path.name)
        assert exported[1, 1:3].tolist() == [255, 255]
        assert not exported[0, :4].any()


def test_scores_are_of_the_regions_that_are_exported(run: Path, voc: Path) -> None:
    before = json.loads((run / "manifest.json").read_text())["stages"]["evaluate"]["fingerprint"]
    run_stage(voc, run, "evaluate", "export.min_area=5")
    after = json.loads((run / "manifest.json").read_text())["stages"]["evaluate"]
    assert after["settings"]["export"] == {"min_area": 5}
    assert after["fingerprint"] != before


def test_an_interrupted_export_goes_on_to_the_same_bytes(run: Path, finished: Path, voc: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["stages"]["export"]["state"] = "running"
    (run / "manifest.json").write_text(json.dumps(manifest))
    for path in sorted((run / "export" / "confidence").iterdir())[::2]:
        path.unlink()
    (run / "export" / "confidence.csv").unlink()
    run_stage(voc, run, "export", "export.keep=0.5")
    assert files_of(run / "export") == files_of(finished / "export")


def test_an_image_that_fails_is_listed_and_not_exported(run: Path, voc: Path) -> None:
    image_id = names(run)[0]
    (run / "refined" / f"{image_id}.png").write_bytes(b"broken")
    assert run_stage(voc, run, "export", "export.keep=1.0") == 4
    assert image_id not in names(run)
    (row,) = read_table(run / "export" / "review.csv")
    assert (row["image_id"], row["confidence"]) == (image_id, "")
    assert row["reasons"].startswith("failed: ")
    states = {row["image_id"]: row["state"] for row in read_table(run / "export" / "confidence.csv")}
    assert [each for each, state in states.items() if state == "failed"] == [image_id]


def test_an_image_that_an_earlier_stage_did_not_finish_is_listed(run: Path, voc: Path) -> None:
    (run / "refined" / "val_0000.png").unlink()
    run_stage(voc, run, "export", "export.keep=1.0")
    (row,) = read_table(run / "export" / "review.csv")
    assert (row["image_id"], row["reasons"]) == ("val_0000", "failed: an earlier stage did not finish it")


@pytest.mark.parametrize(
    "setting",
    [
        *("export.keep=1.5", "export.keep=-0.1", "export.min_confidence=2", "export.review=maybe"),
        *("export.min_area=-1", "export.min_area=.nan"),
    ],
)
def test_settings_out_of_range_are_refused(
    setting: str, voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--quiet", f"data.root={voc}", f"output={tmp_path / 'run'}", *QUICK, setting]) == 2
    assert f"{setting.split('=')[0]}: expected" in capsys.readouterr().err
