from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from wsl.data import synthetic
from wsl.data.reader import open_dataset
from wsl.data.synthetic import DRAWN_CLASSES, LARGEST_OVERLAP, DrawnImage, draw_dataset, draw_image
from wsl.errors import ConfigError


def draw_some(count: int, *, size: int = 96, classes: tuple[str, ...] = DRAWN_CLASSES) -> list[DrawnImage]:
    """The first `count` images of a fixed seed."""
    return [draw_image(np.random.default_rng([5, i]), size=size, classes=classes, max_objects=3) for i in range(count)]


def tree_bytes(root: Path) -> dict[str, bytes]:
    """Content of every file below `root`."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def drawn_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    draw_dataset(root, train=6, val=3, image_size=64, seed=3)
    return root


def test_same_arguments_give_same_bytes(drawn_root: Path, tmp_path: Path) -> None:
    draw_dataset(tmp_path, train=6, val=3, image_size=64, seed=3)
    assert tree_bytes(tmp_path) == tree_bytes(drawn_root)


def test_another_seed_gives_other_images(drawn_root: Path, tmp_path: Path) -> None:
    draw_dataset(tmp_path, train=6, val=3, image_size=64, seed=4)
    name = "JPEGImages/train_0000.jpg"
    assert (tmp_path / name).read_bytes() != (drawn_root / name).read_bytes()


def test_an_image_does_not_depend_on_how_many_there_are(drawn_root: Path, tmp_path: Path) -> None:
    draw_dataset(tmp_path, train=2, val=1, image_size=64, seed=3)
    for name in ("JPEGImages/train_0001.jpg", "JPEGImages/val_0000.jpg", "Annotations/val_0000.xml"):
        assert (tmp_path / name).read_bytes() == (drawn_root / name).read_bytes()


def test_train_and_val_show_different_images(drawn_root: Path) -> None:
    files = sorted((drawn_root / "JPEGImages").iterdir())
    assert len({path.read_bytes() for path in files}) == len(files) == 9


def test_reader_opens_it_with_labels_boxes_and_masks(drawn_root: Path) -> None:
    data = open_dataset(drawn_root, split="train")
    assert (data.format, data.classes.names, len(data.samples), data.problems) == ("voc", DRAWN_CLASSES, 6, ())
    assert data.has_masks
    assert data.has_boxes
    for i, sample in enumerate(data.samples):
        drawn = draw_image(np.random.default_rng([3, 0, i]), size=64, classes=DRAWN_CLASSES, max_objects=3)
        assert sample.class_ids == tuple(sorted({box.class_id for box in drawn.boxes}))
        assert sample.boxes is not None
        assert [(box.xyxy, box.class_id) for box in sample.boxes] == [(box.xyxy, box.class_id) for box in drawn.boxes]
        stored = np.array(PillowImage.open(drawn_root / "SegmentationClass" / f"{sample.image_id}.png"))
        assert np.array_equal(stored, drawn.label_map)


def test_xml_boxes_are_one_based_and_inclusive(drawn_root: Path) -> None:
    drawn = next(
        (i, image)
        for i in range(6)
        if (image := draw_image(np.random.default_rng([3, 0, i]), size=64, classes=DRAWN_CLASSES, max_objects=3)).boxes
    )
    box = ElementTree.parse(drawn_root / "Annotations" / f"train_{drawn[0]:04d}.xml").find("object/bndbox")
    assert box is not None
    x1, y1, x2, y2 = drawn[1].boxes[0].xyxy
    assert [int(box.findtext(key, "")) for key in ("xmin", "ymin", "xmax", "ymax")] == [x1 + 1, y1 + 1, x2, y2]


def test_labels_and_mask_agree() -> None:
    for drawn in draw_some(40):
        assert {box.class_id for box in drawn.boxes} == set(np.unique(drawn.label_map)) - {0}


def test_boxes_are_tight_around_an_object_that_nothing_covers() -> None:
    alone = [drawn for drawn in draw_some(60) if len(drawn.boxes) == 1]
    assert len(alone) > 5
    for drawn in alone:
        rows, columns = np.nonzero(drawn.label_map)
        expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert drawn.boxes[0].xyxy == expected


def test_variety_of_objects_and_sizes() -> None:
    drawn = draw_some(200)
    counts = [len(image.boxes) for image in drawn]
    assert set(counts) == {0, 1, 2, 3}
    assert 2 <= counts.count(0) <= 30
    sides = np.array([max(b.xyxy[2] - b.xyxy[0], b.xyxy[3] - b.xyxy[1]) / 96 for d in drawn for b in d.boxes])
    assert sides.min() > 0.12
    assert sides.max() < synthetic.OBJECT_SIDE[1] + 0.02
    assert sides.std() > 0.05
    share = np.bincount([box.class_id for image in drawn for box in image.boxes], minlength=6)[1:] / sum(counts)
    assert np.all((share > 0.12) & (share < 0.28))


def test_overlap_stays_slight() -> None:
    for image in draw_some(60):
        covered = sum((b.xyxy[2] - b.xyxy[0]) * (b.xyxy[3] - b.xyxy[1]) for b in image.boxes)
        assert (image.label_map > 0).sum() <= covered
        for box in image.boxes:
            x1, y1, x2, y2 = (int(value) for value in box.xyxy)
            visible = (image.label_map[y1:y2, x1:x2] == box.class_id).mean()
            assert visible > 0.3 - LARGEST_OVERLAP  # a starfish fills about 0.45 of its box


def best_threshold_iou(values: np.ndarray, truth: np.ndarray) -> float:
    """Largest IoU of {values > t} or {values <= t} with `truth` over all t: what a threshold could reach at best."""
    levels = np.unique(np.percentile(values, np.arange(1, 100, 2)))
    masks = [values > level for level in levels] + [values <= level for level in levels]
    return max((mask & truth).sum() / (mask | truth).sum() for mask in masks)


def test_no_threshold_on_one_colour_channel_finds_the_objects() -> None:
    drawn = [image for image in draw_some(80) if image.boxes]
    truth = np.stack([image.label_map > 0 for image in drawn])
    rgb = np.stack([image.image for image in drawn])
    hsv = np.stack([cv2.cvtColor(image.image, cv2.COLOR_RGB2HSV) for image in drawn])
    for channel in range(3):
        assert best_threshold_iou(rgb[..., channel], truth) < 0.5
        assert best_threshold_iou(hsv[..., channel], truth) < 0.5


def test_hue_alone_does_not_tell_the_class() -> None:
    hues: list[list[float]] = [[] for _ in DRAWN_CLASSES]
    for image in draw_some(200):
        for class_id in {box.class_id for box in image.boxes}:
            mean = image.image[image.label_map == class_id].mean(0)
            hues[class_id - 1].append(cv2.cvtColor(np.uint8([[mean]]), cv2.COLOR_RGB2HSV)[0, 0, 0] / 180)
    usual = [synthetic.KINDS[name].hue for name in DRAWN_CLASSES]
    nearest = [
        np.argmin([abs((hue - other + 0.5) % 1 - 0.5) for other in usual]) == i
        for i, values in enumerate(hues)
        for hue in values
    ]
    assert 0.4 < np.mean(nearest) < 0.9


def test_interrupted_drawing_has_no_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_dataset(tmp_path, train=2, val=1, image_size=48, seed=1)
    calls = iter(range(100))

    def fail_at_third(*args: object) -> None:
        if next(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(synthetic, "_write_drawn", fail_at_third)
    with pytest.raises(KeyboardInterrupt):
        draw_dataset(tmp_path, train=3, val=2, image_size=48, seed=1)
    assert not list((tmp_path / "ImageSets").rglob("*.txt"))


def test_smaller_redrawing_leaves_no_old_drawing_and_other_files_alone(tmp_path: Path) -> None:
    draw_dataset(tmp_path, train=4, val=2, image_size=48, seed=1)
    (tmp_path / "JPEGImages" / "mine.jpg").write_bytes(b"x")
    draw_dataset(tmp_path, train=1, val=1, image_size=48, seed=1)
    names = sorted(path.name for path in (tmp_path / "JPEGImages").iterdir())
    assert names == ["mine.jpg", "train_0000.jpg", "val_0000.jpg"]
    assert (tmp_path / "ImageSets" / "Main" / "train.txt").read_text() == "train_0000\n"


def test_chosen_classes_only() -> None:
    for image in draw_some(20, classes=("kite", "fish")):
        assert set(np.unique(image.label_map)) <= {0, 1, 2}


def draw_planted(planted: dict[str, str] | None, count: int = 60) -> list[DrawnImage]:
    """Drawings of fish (1), kite (2) and leaf (3) with up to three objects."""
    classes = ("fish", "kite", "leaf")
    return [
        draw_image(np.random.default_rng([9, i]), size=64, classes=classes, max_objects=3, planted=planted)
        for i in range(count)
    ]


def test_without_a_plant_drawings_are_as_ever() -> None:
    for first, second in zip(draw_planted(None, 5), draw_planted({}, 5), strict=True):
        assert np.array_equal(first.image, second.image)
        assert first.boxes == second.boxes


def test_planted_ground_goes_with_its_class_and_with_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn_with: list[str] = []

    def spy(name: str, texture):
        return lambda size, rng: (drawn_with.append(name), texture(size, rng))[1]

    grounds = {name: spy(name, texture) for name, texture in synthetic.GROUNDS.items()}
    monkeypatch.setattr(synthetic, "GROUNDS", grounds)
    drawn = draw_planted({"leaf": "stripe"})
    classes = [{box.class_id for box in each.boxes} for each in drawn]
    assert len(drawn_with) == len(drawn)
    for name, ids in zip(drawn_with, classes, strict=True):
        assert (name == "stripe") == (ids == {3})
    assert 10 < drawn_with.count("stripe") < 30
    assert set() in classes
    assert {1, 2} in classes


def test_classes_on_the_same_planted_ground_share_images() -> None:
    classes = [{box.class_id for box in each.boxes} for each in draw_planted({"leaf": "stripe", "kite": "stripe"})]
    assert {2, 3} in classes
    assert all(ids <= {2, 3} or ids <= {1} for ids in classes)


def test_planted_ground_stands_out() -> None:
    """The contrast of the ground away from objects, as the spread of its grey values."""
    spreads: dict[bool, list[float]] = {True: [], False: []}
    for each in draw_planted({"leaf": "stripe"}):
        grey = each.image.mean(2)[each.label_map == 0]
        spreads[bool(each.boxes) and each.boxes[0].class_id == 3].append(float(grey.std()))
    assert np.median(spreads[True]) > 2 * np.median(spreads[False])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"planted": {"lef": "stripe"}}, r"planted: 'lef' is not among the drawn classes\. Did you mean: leaf\?"),
        ({"planted": {"leaf": "stripes"}}, r"planted: no ground 'stripes' is known\. Did you mean: stripe\?"),
        (
            {"planted": dict(zip(DRAWN_CLASSES, ("cloud", "stripe", "gradient", "blotch"), strict=False))},
            r"planted: expected at least one ground to be left",
        ),
        ({"train": 0}, r"at least 1 for train, val and max_objects, but got 0, 1, 3"),
        ({"image_size": 16}, r"image_size: expected at least 32 pixels .*got 16"),
        ({"classes": ("kyte",)}, r"No drawing is known for class 'kyte'\. Did you mean: kite\?"),
        ({"classes": ()}, r"classes: expected at least one of ladybird"),
        ({"classes": ("fish", "fish")}, r"Class names must differ"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        draw_dataset(tmp_path, **{"train": 1, "val": 1, "seed": 0, **options})  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
