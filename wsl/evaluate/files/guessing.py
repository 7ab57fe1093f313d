"""What lies at a path: which kind of prediction, which kind of ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image as PilImage

from wsl.data.images import IMAGE_SUFFIXES
from wsl.errors import DataError
from wsl.evaluate.files.score_map_files import SCORE_MAP_SUFFIXES
from wsl.files import read_json

KINDS = ("label_maps", "score_maps", "boxes", "masks", "coco")
ACCEPTED = (
    "a folder of label maps (<image_id>.png), of score maps (<image_id>.npz or .npy; grey PNGs with "
    "--kind score_maps), of boxes (<image_id>.json with 'boxes', or VOC .xml), of masks (<image_id>.json with "
    "'masks'), a COCO results list (.json) or COCO annotations (.json)"
)
ACCEPTED_TRUTH = (
    "a folder of label maps (<image_id>.png), a data set (VOC, COCO, one folder of images per class, a CSV or JSONL "
    "table), COCO annotations (.json) or a folder of wsolevaluation's metadata (image_ids.txt, localization.txt)"
)
_LOSSY = (".jpg", ".jpeg")
_KIND_OF_SUFFIX = {".png": "label_maps", ".json": "boxes", ".xml": "boxes"}
_KIND_OF_SUFFIX |= dict.fromkeys(SCORE_MAP_SUFFIXES, "score_maps")
# Entries of a data set's root that a plain folder of label maps does not have.
_DATASET_ENTRIES = ("JPEGImages", "Annotations", "ImageSets", "annotations", "images", "masks", "train", "val")


def guess_kind(prediction: Path, ground_truth: Path | None = None) -> str:
    """One of KINDS, from the files at `prediction`; DataError that says what is accepted.

    Against COCO annotations (`ground_truth` is a JSON file) a results list is "coco" whatever it holds: its ids are
    those of the annotations.
    """
    if not prediction.exists():
        raise DataError(f"{prediction}: no such file or folder; expected {ACCEPTED}.")
    if prediction.is_file():
        if prediction.suffix.lower() == ".json":
            is_coco = ground_truth is not None and ground_truth.suffix.lower() == ".json"
            return "masks" if _lists_masks(prediction, is_coco) else "coco"
        raise DataError(f"{prediction}: expected {ACCEPTED}.")
    files = sorted(path for path in prediction.rglob("*") if not path.name.startswith("."))
    kinds = sorted({_KIND_OF_SUFFIX[path.suffix.lower()] for path in files if path.suffix.lower() in _KIND_OF_SUFFIX})
    if kinds == ["boxes"] and _holds_masks(files):
        return "masks"
    if not kinds:
        raise DataError(f"{prediction}: found nothing to score{_explain_pictures(files)}; expected {ACCEPTED}.")
    if len(kinds) > 1:
        raise DataError(f"{prediction}: holds files for {' and '.join(kinds)}; say which with --kind {kinds[0]}.")
    return kinds[0]


def is_mask_folder(folder: Path) -> bool:
    """True for a folder of label-map PNGs, False for a data set.

    Label maps are PNGs and nothing else. PNGs in sub-folders could also be images sorted by class: then the first
    one decides, label maps have a palette.
    """
    entries = list(folder.iterdir())
    tables = any(path.suffix.lower() in (".csv", ".jsonl") for path in entries)
    if tables or {path.name for path in entries} & set(_DATASET_ENTRIES):
        return False
    images = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not images or any(path.suffix.lower() != ".png" for path in images):
        return False
    return images[0].parent == folder or _has_palette(images[0])


def _has_palette(path: Path) -> bool:
    try:
        with PilImage.open(path, formats=("PNG",)) as image:
            return image.mode == "P"
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path}: the image is damaged ({error}).") from None


def _holds_masks(files: Sequence[Path]) -> bool:
    """Whether the first JSON file of a folder has masks rather than boxes."""
    first = next((path for path in files if path.suffix.lower() == ".json"), None)
    content = None if first is None else read_json(first)
    return isinstance(content, dict) and "masks" in content


def _explain_pictures(files: Sequence[Path]) -> str:
    """Why pictures of other formats are no predictions; "" where there are none."""
    pictures = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    if not pictures:
        return ""
    if pictures[0].suffix.lower() in _LOSSY:
        return f" ({pictures[0].name}: JPEG changes the values of label maps and score maps, save them as PNG)"
    return f" ({pictures[0].name}: of pictures only PNG is read)"


def _lists_masks(path: Path, is_coco: bool) -> bool:
    """Whether one file lists masks: images with masks, or results that have a segmentation and no box and are not
    COCO's."""
    content = read_json(path)
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return False
    first = content[0]
    is_result = is_coco and "category_id" in first
    return "masks" in first or ("segmentation" in first and "bbox" not in first and not is_result)


def is_wsol_metadata(folder: Path) -> bool:
    """True for the folder of one split of wsolevaluation's metadata."""
    return all((folder / name).is_file() for name in ("image_ids.txt", "localization.txt"))
