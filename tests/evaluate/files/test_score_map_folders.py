from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wsl.data.label_maps import write_label_map
from wsl.data.reader import Dataset
from wsl.errors import ConfigError, DataError
from wsl.evaluate.certainty.resampling import Resampling
from wsl.evaluate.files.options import EvaluateOptions, Evaluation, add_intervals, write_evaluation
from wsl.evaluate.files.score_map_folders import MapSource, evaluate_score_maps
from wsl.evaluate.localization.max_box_acc import MaxBoxAcc
from wsl.evaluate.localization.pixel_ap import PixelAp
from wsl.evaluate.segmentation.sweep import BackgroundSweep
from wsl.evaluate.thresholds import CHOICES
from wsl.seeds.label_free import LabelFree
from wsl.types import Box, ClassSet, Instance, MaskSource, Sample

CLASSES = ClassSet(("cat", "dog", "cow"))
SIZE = (24, 30)


def make_dataset(root: Path, count: int, first: int = 0) -> Dataset:
    """Images with a block of one class; masks as label maps and boxes."""
    samples = []
    for index in range(first, first + count):
        name = f"i{index:03d}"
        generator = np.random.default_rng(index)
        class_id, top, left = index % 3 + 1, int(generator.integers(2, 10)), int(generator.integers(2, 12))
        label_map = np.zeros(SIZE, np.uint8)
        label_map[top : top + 9, left : left + 12] = class_id
        label_map[0, 0] = 255
        image = np.where(label_map[..., None] == class_id, np.uint8(200), np.uint8(40)) * np.ones(3, np.uint8)
        (root / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / "images" / f"{name}.png")
        write_label_map(root / "masks" / f"{name}.png", label_map)
        box = Box((float(left), float(top), left + 12.0, top + 9.0), class_id)
        samples.append(
            Sample(
                name,
                root / "images" / f"{name}.png",
                (class_id,),
                (Instance(class_id, box),),
                MaskSource("label_map", root / "masks" / f"{name}.png"),
            )
        )
    return Dataset(root, "voc", CLASSES, tuple(samples), (), False, True, True, "made here")


def make_map(sample: Sample, kind: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A noisy map of the true class and of another."""
    generator = np.random.default_rng(int(sample.image_id[1:]) + 1000 * kind)
    box = sample.instances[0].box
    scores = generator.random((2, *SIZE)).astype(np.float32) * 0.5
    x1, y1, x2, y2 = (int(side) for side in box.xyxy)
    scores[0, y1:y2, x1:x2] += 0.4
    return scores, np.array([box.class_id, box.class_id % 3 + 1])


def write_maps(folder: Path, dataset: Dataset) -> Path:
    folder.mkdir(exist_ok=True)
    for sample in dataset.samples:
        scores, class_ids = make_map(sample)
        np.savez(folder / f"{sample.image_id}.npz", scores=scores, class_ids=class_ids)
    return folder


def score(folder: Path, truth: Dataset | Path, **options: Any) -> Evaluation:
    return evaluate_score_maps(MapSource(folder), truth, EvaluateOptions(**options))


def by_name(evaluation: Evaluation) -> dict[str, Any]:
    return {each.name: each for each in evaluation.scores}


def test_one_pass_gives_what_each_metric_gives_alone(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, 6)
    found = by_name(score(write_maps(tmp_path / "p", dataset), dataset))
    sweep, boxes, pixels = BackgroundSweep(3, np.arange(100) / 100), MaxBoxAcc(), PixelAp()
    for sample in dataset.samples:
        scores, class_ids = make_map(sample)
        label_map = np.array(Image.open(sample.mask.path))
        sweep.update(scores, class_ids.tolist(), label_map)
        boxes.update(scores[0], list(sample.boxes))
        pixels.update(scores[0], label_map == class_ids[0], label_map == 255, int(class_ids[0]))
    assert found["mIoU of score maps"].value == sweep.best().value
    assert found["mIoU of score maps"].curve == sweep.best().curve
    assert [found[each.name].value for each in boxes.scores()] == [each.value for each in boxes.scores()]
    assert [found[each.name].value for each in pixels.scores()] == [each.value for each in pixels.scores()]


def test_processes_change_nothing(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, 30)
    folder = write_maps(tmp_path / "p", dataset)
    options = {"metrics": ("all",), "thresholds": ("oracle", "label_free:otsu", "0.45")}
    one, two = (score(folder, dataset, workers=workers, **options) for workers in (1, 2))
    assert one.scores == two.scores
    assert one.about == two.about
    assert list(one.tables) == list(two.tables)


def test_every_way_to_a_threshold(tmp_path: Path) -> None:
    val, test = make_dataset(tmp_path / "val", 8), make_dataset(tmp_path / "test", 9, first=8)
    folder = write_maps(tmp_path / "p", replace(val, samples=val.samples + test.samples))
    write_evaluation(tmp_path / "of_val", score(folder, val))
    ways = ("oracle", "0.41", "val:val", f"from:{tmp_path / 'of_val'}", "label_free:colour_contrast", "label_free:otsu")
    options = EvaluateOptions(split="test", thresholds=ways, metrics=("miou_sweep", "max_box_acc", "pixel_ap"))
    source = MapSource(folder, open_split={"val": val}.__getitem__)
    evaluation = evaluate_score_maps(source, test, options)
    rows = [each for each in evaluation.scores if each.name == "mIoU of score maps"]
    origins = [(each.threshold["provenance"], each.threshold.get("label-free rule")) for each in rows]
    assert [origin for origin, _ in origins] == ["oracle", "fixed", "val", "val", "label_free", "label_free"]
    alone = score(folder, val)
    assert rows[2].threshold["value"] == rows[3].threshold["value"] == alone.about[CHOICES]["miou"]
    assert rows[2].threshold["chosen on"] == "split val, 8 images"
    label_free = LabelFree(np.arange(100) / 100, ["otsu"])
    for sample in test.samples:
        label_free.update(make_map(sample)[0])
    # 0.41 is among the steps already
    assert rows[5].threshold["value"] == pytest.approx(label_free.choose("otsu").threshold)
    for row in rows[1:]:
        assert row.threshold["gap to oracle"] == rows[0].value - row.value >= 0
    boxes = [each for each in evaluation.scores if each.name in ("MaxBoxAccV2", "BoxAccV2")]
    assert [each.threshold["provenance"] for each in boxes] == [origin for origin, _ in origins]
    assert {"pixel IoU", "pixel recall"} <= {each.name for each in evaluation.scores}
    named = [name for name in evaluation.tables if name.startswith("mIoU of score maps")]
    assert named[:3] == ["mIoU of score maps (oracle)", "mIoU of score maps (fixed)", "mIoU of score maps (val)"]
    shown = add_intervals(evaluation, Resampling(50))
    assert all(each.interval is not None for each in shown.scores if each.name == "mIoU of score maps")


def test_a_threshold_is_never_chosen_on_what_it_is_applied_to(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, 3)
    folder = write_maps(tmp_path / "p", dataset)
    part = replace(dataset, samples=dataset.samples[1:])
    source = MapSource(folder, open_split={"val": part}.__getitem__)
    for split in (None, "val", "test"):
        with pytest.raises(ConfigError, match=r"would be chosen on images that are scored too \(2, such as 'i001'\)"):
            evaluate_score_maps(source, dataset, EvaluateOptions(split=split, thresholds=("val:val",)))
    write_evaluation(tmp_path / "same", score(folder, part))
    with pytest.raises(ConfigError, match="would be chosen on images that are scored too"):
        score(folder, dataset, thresholds=(f"from:{tmp_path / 'same'}",))
    with pytest.raises(ConfigError, match="needs a data set with splits"):
        score(folder, dataset, split="test", thresholds=("val:val",))
    with pytest.raises(DataError, match="no such file"):
        score(folder, dataset, thresholds=(f"from:{tmp_path / 'nowhere'}",))


def test_thresholds_that_make_no_sense_are_told_before_any_map_is_read(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, 2)
    folder = write_maps(tmp_path / "p", dataset)
    (folder / "i001.npz").write_bytes(b"broken")
    with pytest.raises(ConfigError, match=r"expected a value in \[0, 1\], but got 1.5"):
        score(folder, dataset, thresholds=("1.5",))
    with pytest.raises(ConfigError, match="expected an exponent above 0"):
        score(folder, dataset, thresholds=("-1",), rule="power", values=(1, 2))


def test_any_fixed_threshold_is_scored(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, 3)
    found = score(write_maps(tmp_path / "p", dataset), dataset, thresholds=("0.33333",)).scores
    values = {each.name: each.threshold["value"] for each in found if each.threshold}
    assert values["mIoU of score maps"] == values["BoxAccV2"] == 0.33333
    assert values["pixel IoU"] == pytest.approx(0.333)
    power = score(tmp_path / "p", dataset, thresholds=("4",), rule="power", values=(1, 2, 4), metrics=("miou_sweep",))
    assert [each.threshold["value"] for each in power.scores] == [4.0]


def test_values_and_thresholds_go_together(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, 3)
    folder = write_maps(tmp_path / "p", dataset)
    found = score(folder, dataset, values=(0.2, 0.4), thresholds=("0.3", "oracle"), metrics=("miou_sweep",)).scores
    assert found[0].curve["threshold"] == [0.2, 0.3, 0.4]
    assert score(folder, dataset, rule="power", metrics=("miou_sweep",)).scores[0].curve["threshold"][:2] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ("seed_surface",), "thresholds": ("0.3",)}, "threshold fixed: it is for the metrics miou_sweep"),
        ({"metrics": ("pixel_ap",), "thresholds": ("label_free:otsu",)}, "threshold label_free: it is for the metrics"),
        ({"metrics": ("pixel_ap",), "rule": "power", "thresholds": ("4",)}, "threshold fixed: it is for the metrics"),
        ({"metrics": ("pixel_ap",), "rule": "power"}, "rule, values: they are for miou_sweep and seed_surface"),
    ],
)
def test_what_no_metric_uses_is_refused(options: dict, message: str, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, 2)
    with pytest.raises(ConfigError, match=message):
        score(write_maps(tmp_path / "p", dataset), dataset, **options)


def test_what_would_give_a_believable_wrong_number_is_refused(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, 3)
    folder = write_maps(tmp_path / "p", dataset)
    for sample in dataset.samples:
        binary = np.where(np.array(Image.open(sample.mask.path)) > 0, 255, 0).astype(np.uint8)
        write_label_map(tmp_path / "binary" / f"{sample.image_id}.png", binary)
    with pytest.raises(DataError, match=r"expected label maps .* found only 0 and 255"):
        score(folder, tmp_path / "binary", classes=CLASSES)
    with pytest.raises(
        DataError, match=r"the maps have class \d, but there are classes 1\.\.1 only; .* --classes FILE"
    ):
        score(folder, tmp_path / "binary")
    scores, class_ids = make_map(dataset.samples[0])
    for wrong in (scores * 255, scores - 0.5):
        np.savez(folder / "i000.npz", scores=wrong, class_ids=class_ids)
        with pytest.raises(DataError, match=r"i000: expected scores in \[0, 1\], but got"):
            score(folder, dataset)


def test_label_maps_as_truth_have_no_images(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, 3)
    folder = write_maps(tmp_path / "p", dataset)
    with pytest.raises(ConfigError, match="looks at the images, but this is a folder of label maps"):
        score(folder, tmp_path / "masks", thresholds=("label_free:normalised_cut",))
    found = by_name(score(folder, tmp_path / "masks", thresholds=("label_free:otsu", "oracle"), classes=CLASSES))
    assert found["mIoU of score maps"].threshold["provenance"] == "label_free"
    assert "MaxBoxAccV2" not in found
    with pytest.raises(DataError, match="'scale_agreement' needs maps of several scales"):
        score(folder, dataset, thresholds=("label_free:scale_agreement",))
    with pytest.raises(ConfigError, match="'max_box_acc' needs boxes"):
        score(folder, tmp_path / "masks", metrics=("max_box_acc",))


def test_the_power_rule(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, 4)
    folder = write_maps(tmp_path / "p", dataset)
    (found,) = score(folder, dataset, rule="power", values=(0.5, 1, 2, 4, 8), metrics=("miou_sweep",)).scores
    sweep = BackgroundSweep(3, [0.5, 1, 2, 4, 8], "power")
    for sample in dataset.samples:
        scores, class_ids = make_map(sample)
        sweep.update(scores, class_ids.tolist(), np.array(Image.open(sample.mask.path)))
    assert (found.value, found.threshold["value"]) == (sweep.best().value, sweep.best().threshold["value"])
    with pytest.raises(ConfigError, match="label-free rules choose scores"):
        score(folder, dataset, rule="power", values=(1, 2), thresholds=("label_free:otsu",))


@pytest.mark.parametrize("depth", [8, 16])
def test_grey_pngs_are_score_maps_too(tmp_path: Path, depth: int) -> None:
    dataset = make_dataset(tmp_path, 3)
    full = 2**depth - 1
    arrays, pictures = tmp_path / "arrays", tmp_path / "pictures"
    arrays.mkdir()
    for sample in dataset.samples:
        scores, class_ids = make_map(sample)
        grey = np.round(scores * full).astype(np.uint8 if depth == 8 else np.uint16)
        (pictures / sample.image_id).mkdir(parents=True)
        for each, class_id in zip(grey, class_ids, strict=True):
            Image.fromarray(each).save(pictures / sample.image_id / f"{CLASSES.name_of(int(class_id))}.png")
        order = np.argsort(class_ids)
        np.savez(
            arrays / f"{sample.image_id}.npz",
            scores=grey[order].astype(np.float32) / full,
            class_ids=class_ids[order],
        )
    assert score(pictures, dataset).scores == score(arrays, dataset).scores


def test_missing_maps_follow_the_policy(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, 3)
    folder = write_maps(tmp_path / "p", dataset)
    (folder / "i001.npz").unlink()
    with pytest.raises(DataError, match=r"no prediction for 1 of 3 images \(i001\)"):
        score(folder, dataset)
    for missing, images in (("skip", 2), ("background", 3)):
        found = by_name(score(folder, dataset, missing=missing))
        assert found["mIoU of score maps"].counts["images"] == images
        assert found["MaxBoxAccV2"].counts["image-class pairs"] == images
        assert found["PxAP"].counts["images without prediction"] == 1


def test_errors_name_the_image(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, 2)
    folder = write_maps(tmp_path / "p", dataset)
    np.savez(folder / "i001.npz", scores=np.zeros((1, 5, 5), np.float32), class_ids=np.array([1]))
    with pytest.raises(DataError, match="i001: score map is 5x5 but ground truth is 24x30"):
        score(folder, dataset)
    np.savez(folder / "i001.npz", scores=np.full((1, *SIZE), np.nan, np.float32), class_ids=np.array([1]))
    with pytest.raises(DataError, match="i001: scores: expected finite"):
        score(folder, dataset)
