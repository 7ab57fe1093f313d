"""One folder of images per class, optionally with masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wsl.data.class_names import build_class_set, check_background_class
from wsl.data.dataset import READERS, Dataset, Problem, Reader, has_scorable_masks
from wsl.data.paths import has_images, index_by_stem, list_folders, list_images
from wsl.data.split import is_declared, is_everything, split_samples
from wsl.errors import ConfigError, DataError
from wsl.types import BACKGROUND, ClassSet, MaskSource, Sample

_SPLIT_FOLDERS = frozenset({"train", "val", "valid", "validation", "test"})
_NOT_CLASSES = frozenset({"masks", "annotations", "ground_truth"})
_BACKGROUND_NAMES = frozenset({"free", "background", "good", "normal", "ok", "none", "negative"})


@dataclass(frozen=True)
class _Layout:
    """`parts`: class folders by split, or under "" without splits; `masks`: the folder of masks, or None."""

    parts: Mapping[str, list[Path]]
    masks: Path | None

    @property
    def splits(self) -> list[str]:
        return [name for name in self.parts if name]


def read_folder(
    root: Path,
    *,
    split: str | None = None,
    classes: tuple[str, ...] | None = None,
    background_class: str | None = None,
    val_fraction: float = 0.2,
) -> Dataset:
    """Reads images/<class>/*, <class>/*, or <split>/<class>/* (also below images/); the folder names are the labels.

    A mask masks/<class>/<stem>.png belongs to the image of that class and stem (masks/<split>/<class>/ with
    splits); non-zero pixels are the class. The images of `background_class` have no object; if it is None and
    exactly one folder is called free, background, good, normal, ok, none or negative, that one is taken. The
    image_id is "<class>/<stem>", with splits "<split>/<class>/<stem>".

    Raises:
        DataError: no class folder with images, or no such split.
        ConfigError: several folders may be the background, or `background_class` is no folder.
    """
    layout = _find_layout(root)
    labels = sorted({folder.name for folders in layout.parts.values() for folder in folders})
    background, background_why = _find_background(labels, background_class)
    class_set = build_class_set(classes or labels, background, root)
    declared = split is not None and not is_everything(split) and is_declared(split, layout.splits, root)
    problems: list[Problem] = []
    samples: list[Sample] = []
    for name in [split] if declared and split else list(layout.parts):
        for folder in layout.parts[name]:
            samples += _read_class(folder, name, layout.masks, class_set, problems)
    samples.sort(key=lambda sample: sample.image_id)
    if split is not None and not is_everything(split) and not declared:
        samples = split_samples(samples, split, val_fraction)
    return Dataset(
        root=Path(root),
        format="folder",
        classes=class_set,
        samples=tuple(samples),
        problems=tuple(problems),
        single_label=True,
        has_masks=has_scorable_masks(samples),
        has_boxes=False,
        why=background_why,
        split_counts={name: sum(len(list_images(folder)) for folder in layout.parts[name]) for name in layout.splits},
    )


def guess_folder(root: Path) -> str | None:
    """Why `root` has one folder of images per class, or None."""
    if not root.is_dir():
        return None
    parts = _find_layout_parts(root)
    count = len({folder.name for folders in parts.values() for folder in folders})
    return f"folder: {count} class folders with images found" if count else None


READERS.register("folder")(Reader(order=40, guess=guess_folder, read=read_folder))


def _find_layout(root: Path) -> _Layout:
    parts = _find_layout_parts(root)
    if not any(parts.values()):
        raise DataError(f"{root}: expected folders with images, one per class, in it or in its folder 'images'.")
    masks = root / "masks"
    return _Layout(parts, masks if masks.is_dir() else None)


def _find_layout_parts(root: Path) -> dict[str, list[Path]]:
    base = root / "images" if list_folders(root / "images") else root
    splits = {
        folder.name: _list_class_folders(folder) for folder in list_folders(base) if folder.name in _SPLIT_FOLDERS
    }
    declared = {name: folders for name, folders in splits.items() if folders}
    return declared or {"": _list_class_folders(base)}


def _list_class_folders(base: Path) -> list[Path]:
    return [folder for folder in list_folders(base) if folder.name not in _NOT_CLASSES and has_images(folder)]


def _find_background(labels: list[str], background_class: str | None) -> tuple[str | None, str]:
    if background_class is not None:
        check_background_class(background_class, labels)
        return background_class or None, ""
    likely = [name for name in labels if name.lower() in _BACKGROUND_NAMES]
    if len(likely) > 1:
        raise ConfigError(
            f"The folders {', '.join(likely)} may all be the background; name it with background_class, "
            "or give '' if each is a class."
        )
    if not likely:
        return None, ""
    return likely[0], f"'{likely[0]}' taken as background only (set background_class to change it)"


def _read_class(
    folder: Path, split: str, masks: Path | None, class_set: ClassSet, problems: list[Problem]
) -> list[Sample]:
    label = folder.name
    if label != class_set.background_name and label not in class_set.names:
        problems.append(Problem(folder, f"'{label}' is not in the class list; its images are left out."))
        return []
    images, doubles = index_by_stem(list_images(folder))
    problems += doubles
    found = {} if masks is None else index_by_stem(list_images(masks / split / label))[0]
    class_id = class_set.id_of(label)
    prefix = f"{split}/{label}" if split else label
    return [
        Sample(
            image_id=f"{prefix}/{stem}",
            image_path=path,
            class_ids=(class_id,) if class_id else (),
            mask=_find_mask(class_id, found.get(stem), masks),
        )
        for stem, path in images.items()
    ]


def _find_mask(class_id: int, path: Path | None, masks: Path | None) -> MaskSource | None:
    if masks is None:
        return None
    if class_id == BACKGROUND:
        return MaskSource("background")
    return None if path is None else MaskSource("binary", path, class_id)
