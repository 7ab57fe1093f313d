"""A folder of images without labels: what a trained classifier is to label."""

from __future__ import annotations

from pathlib import Path

from wsl.data.dataset import READERS, Dataset, Reader
from wsl.data.paths import has_images, index_by_stem, list_images
from wsl.data.split import is_everything, split_samples
from wsl.errors import DataError
from wsl.types import ClassSet, Sample


def read_images_only(
    root: Path,
    *,
    split: str | None = None,
    classes: tuple[str, ...] | None = None,
    background_class: str | None = None,
    val_fraction: float = 0.2,
) -> Dataset:
    """Reads the images in `root` itself, without subfolders; their labels are unknown (None).

    Raises DataError when no class names are given: nothing in the folder tells them.
    """
    if not classes:
        raise DataError(
            f"{root}: images without labels; give the class names (data.classes=[...]) and a trained classifier "
            "(model.checkpoint=FILE), or sort the images into one folder per class."
        )
    paths, problems = index_by_stem(list_images(root))
    samples = [Sample(stem, path) for stem, path in sorted(paths.items())]
    if split is not None and not is_everything(split):
        samples = split_samples(samples, split, val_fraction)
    return Dataset(
        root=Path(root),
        format="images",
        classes=ClassSet(classes, background_class or "background"),
        samples=tuple(samples),
        problems=tuple(problems),
        single_label=False,
        has_masks=False,
        has_boxes=False,
        why="",
    )


def guess_images_only(root: Path) -> str | None:
    """Why `root` is a plain folder of images, or None."""
    return "images lie in it directly and there are no labels" if root.is_dir() and has_images(root) else None


READERS.register("images")(Reader(order=50, guess=guess_images_only, read=read_images_only))
