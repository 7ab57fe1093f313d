"""`wsl demo`: a drawn data set with exact masks inside the run folder, so that nothing has to be downloaded."""

from __future__ import annotations

import logging

from wsl.config import Config
from wsl.data.synthetic import draw_dataset
from wsl.errors import ConfigError
from wsl.files import read_json, write_json
from wsl.pipeline.run_folder import DRAWN, DRAWN_MARK, RunFolder

log = logging.getLogger("wsl")

TRAIN_IMAGES, VAL_IMAGES, IMAGE_SIZE = 500, 100, 96
DRAWING = 1  # raised when the drawing changes, so that older drawings are replaced


def draw_demo_data(config: Config, run: RunFolder) -> None:
    """Draws the images into <output>/drawn unless this very drawing is there already, and points `data.root` at it."""
    root = run.path / DRAWN
    config.data.root = str(root)
    wanted = {"seed": config.seed, "train": TRAIN_IMAGES, "val": VAL_IMAGES, "image_size": IMAGE_SIZE}
    wanted["drawing"] = DRAWING
    record = root / DRAWN_MARK
    if record.exists() and read_json(record) == wanted:
        return
    if root.exists() and not record.exists():
        raise ConfigError(f"{root}: expected the drawings of `wsl demo`, but found other files; choose another output.")
    write_json(record, {"state": "drawing"})  # first of all: the sign that this folder may be replaced
    log.info("demo: drawing %d images into %s", TRAIN_IMAGES + VAL_IMAGES, root)
    draw_dataset(root, train=TRAIN_IMAGES, val=VAL_IMAGES, image_size=IMAGE_SIZE, seed=config.seed)
    write_json(record, wanted)
