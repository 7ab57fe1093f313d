"""Tiny drawn data for end-to-end tests: the same images in each of the four layouts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from wsl.data.label_maps import read_label_map
from wsl.data.rle import encode_mask
from wsl.data.synthetic import draw_dataset

QUICK = [
    "model.name=small_cnn",
    "model.weights=null",
    "model.output_stride=8",
    "train.epochs=2",
    "train.image_size=48",
    "train.batch_size=8",
    "cam.scales=[1.0,1.5]",
    "refine.method=pamr",
    "refine.options={iterations: 2, dilations: [1, 2]}",
    "report.overlays=2",
    "workers=0",
    "device=cpu",
]


def draw_voc(root: Path, train: int = 16, val: int = 8) -> Path:
    """VOC layout with masks, boxes and two splits, 48 pixels, three classes."""
    draw_dataset(root, train=train, val=val, image_size=48, classes=("fish", "kite", "leaf"), seed=3, max_objects=2)
    return root


def to_folders(voc: Path, root: Path) -> Path:
    """One folder per class, masks beside, `free` for images without an object; the image's largest class counts."""
    names = (voc / "classes.txt").read_text().split()
    for mask_path in sorted((voc / "SegmentationClass").iterdir()):
        label_map = read_label_map(mask_path)
        counts = np.bincount(label_map.ravel(), minlength=256)[1:255]
        name = names[int(counts.argmax())] if counts.any() else "free"
        (root / "images" / name).mkdir(parents=True, exist_ok=True)
        (root / "masks" / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(voc / "JPEGImages" / f"{mask_path.stem}.jpg", root / "images" / name)
        write_binary(
            root / "masks" / name / mask_path.name, label_map == (counts.argmax() + 1 if counts.any() else 254)
        )
    return root


def write_binary(path: Path, mask: np.ndarray) -> None:
    """A 0/255 mask image."""
    from PIL import Image

    Image.fromarray(mask.astype(np.uint8) * 255).save(path)


def to_coco(voc: Path, root: Path) -> Path:
    """COCO JSON with one RLE instance per class; category ids are not contiguous."""
    (root / "annotations").mkdir(parents=True)
    shutil.copytree(voc / "JPEGImages", root / "images")
    names = (voc / "classes.txt").read_text().split()
    images, annotations = [], []
    for number, mask_path in enumerate(sorted((voc / "SegmentationClass").iterdir()), start=10):
        label_map = read_label_map(mask_path)
        height, width = label_map.shape
        images.append({"id": number, "file_name": f"{mask_path.stem}.jpg", "height": height, "width": width})
        for class_id in np.unique(label_map[(label_map > 0) & (label_map < 255)]):
            annotations.append(_annotation(len(annotations) + 1, number, int(class_id), label_map == class_id))
    categories = [{"id": 7 * class_id, "name": name} for class_id, name in enumerate(names, start=1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "annotations" / "instances.json").write_text(json.dumps(content))
    return root


def _annotation(number: int, image: int, class_id: int, mask: np.ndarray) -> dict:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    box = [x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y]
    about = {"id": number, "image_id": image, "category_id": 7 * class_id, "iscrowd": 0}
    return {**about, "bbox": box, "area": int(mask.sum()), "segmentation": encode_mask(mask)}


def to_table(voc: Path, root: Path) -> Path:
    """A CSV with several labels per image and a split column."""
    shutil.copytree(voc / "JPEGImages", root / "pictures")
    shutil.copytree(voc / "SegmentationClass", root / "masks")
    names = (voc / "classes.txt").read_text().split()
    lines = ["path,labels,split,mask"]
    for mask_path in sorted((voc / "SegmentationClass").iterdir()):
        label_map = read_label_map(mask_path)
        present = [names[value - 1] for value in np.unique(label_map) if 0 < value < 255]
        split = mask_path.stem.split("_")[0]
        lines.append(f"pictures/{mask_path.stem}.jpg,{';'.join(present)},{split},masks/{mask_path.name}")
    (root / "list.csv").write_text("\n".join(lines) + "\n")
    return root
