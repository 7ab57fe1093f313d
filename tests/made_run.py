"""A run folder with score maps made from the truth and noise: no network, so tests of what comes after are quick."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from wsl.cam.preset import get_preset
from wsl.cam.pyramid import MapPyramid
from wsl.cam.store import write_pyramid
from wsl.config import as_dict, load_config
from wsl.data.ground_truth import read_ground_truth
from wsl.data.reader import open_dataset
from wsl.data.synthetic import draw_dataset

SIZE = 48
SETTINGS = [
    "workers=0",
    "device=cpu",
    "data.format=voc",
    "refine.method=none",
    "refine.background=0.8",
    "refine.options={}",
]


def make_run(folder: Path, split: str = "val", images: int = 16, scales: int = 2) -> Path:
    """`images` val images, the last half of which are test2 images; maps of `split`."""
    draw_dataset(folder / "data", train=2, val=images, image_size=SIZE, classes=("fish", "kite"), seed=0, max_objects=1)
    for kind in ("Main", "Segmentation"):
        lists = folder / "data" / "ImageSets" / kind
        names = (lists / "val.txt").read_text().split()
        (lists / "val.txt").write_text("\n".join(names[: images // 2]) + "\n")
        (lists / "test2.txt").write_text("\n".join(names[images // 2 :]) + "\n")
    run = folder / "run"
    config = load_config(None, [*SETTINGS, f"data.root={folder / 'data'}", f"data.split={split}", f"output={run}"])
    data = open_dataset(folder / "data", split=None if split == "all" else split)
    for number, sample in enumerate(data.samples):
        truth = read_ground_truth(sample, (SIZE, SIZE), 2)
        levels = tuple(_make_level(truth, sample.class_ids or (), number, scale) for scale in range(scales))
        ids = sample.class_ids or ()
        probabilities = np.ones(len(ids), np.float32)
        pyramid = MapPyramid(sample.image_id, levels, ids, (SIZE, SIZE), probabilities, ids, 1)
        write_pyramid(run / "cams" / f"{sample.image_id}.npz", pyramid, get_preset("irn"))
    settings = {key: value for key, value in as_dict(config).items() if key != "output"}
    manifest = {"format": 1, "stages": {"cams": {"state": "done"}}, "config": settings}
    (run / "manifest.json").write_text(json.dumps(manifest))
    return run


def _make_level(truth: np.ndarray, class_ids: tuple[int, ...], number: int, scale: int) -> np.ndarray:
    """Blurred masks and noise that differs between scales, float32 (K, 12, 12)."""
    random = np.random.default_rng([number, scale])
    masks = [
        cv2.resize((truth == each).astype(np.float32), (12, 12), interpolation=cv2.INTER_AREA) for each in class_ids
    ]
    noise = random.random((len(masks), 12, 12), np.float32)
    return np.stack(masks).astype(np.float32) + np.float32(0.5) * noise if masks else np.zeros((0, 12, 12), np.float32)
