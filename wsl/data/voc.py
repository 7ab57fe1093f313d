"""PASCAL VOC layout: JPEGImages, Annotations/*.xml, ImageSets, SegmentationClass.

An image's annotation is found by the image's own file name; the `filename` inside the XML is not trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wsl.data.class_names import VOC_CLASSES, build_class_set, check_background_class, read_class_names
from wsl.data.dataset import READERS, Dataset, Problem, Reader, has_scorable_masks
from wsl.data.declared_size import find_resized, scale_box
from wsl.data.label_maps import read_label_map
from wsl.data.paths import index_by_stem, list_files, list_images
from wsl.data.split import is_declared, is_everything, split_samples
from wsl.data.voc_xml import Annotation, NamedBox, read_annotation
from wsl.errors import DataError, suggest
from wsl.types import BACKGROUND, IGNORE, Box, ClassSet, Instance, MaskSource, Sample

_BELOW_ROOT = (".", "VOC2012", "VOCdevkit/VOC2012", "VOC2007", "VOCdevkit/VOC2007")
# The later one wins where both have a list of the same name: Main is the longer list of the detection task.
_LIST_FOLDERS = ("Main", "Segmentation")
_MARK = re.compile(r"\s+-?[01]$")  # "2007_000032 -1": whether the list's class is in the image
_CLASS_LIST = re.compile(r".+_(train|val|trainval|test)$")

# What is known of an image's objects: its annotation, the values of its label map, or why neither could be read.
_Known = Annotation | tuple[int, ...] | DataError


@dataclass(frozen=True)
class _Folder:
    """The files of the layout, listed once: by image id, and lists by split name."""

    root: Path
    images: Mapping[str, Path]
    annotations: Mapping[str, Path]
    masks: Mapping[str, Path]
    lists: Mapping[str, Path]


def read_voc(
    root: Path,
    *,
    split: str | None = None,
    classes: tuple[str, ...] | None = None,
    background_class: str | None = None,
    val_fraction: float = 0.2,
) -> Dataset:
    """Reads a data set in VOC layout.

    `root` holds JPEGImages, or a folder VOC2012 or VOCdevkit/VOC2012 that does. A split is a list
    ImageSets/Segmentation/<split>.txt, otherwise ImageSets/Main/<split>.txt ("Main/train" names one exactly).
    Labels are the names of the objects, difficult ones too, or, without an annotation file, the values of the
    SegmentationClass map. Class names come from `classes`, classes.txt, labelmap.txt, or the objects: VOC's 20 in
    VOC's order if there are no others, else sorted. With a class list beside the data, `classes` may choose from
    it or reorder it, and the values of the label maps are mapped to the new ids. Objects named `background_class`
    are none. Boxes of images that were resized since they were annotated are scaled, and `why` says so.

    Raises:
        DataError: no JPEGImages, no class names, or no such split.
    """
    folder, problems = _list_folder(_find_folder(root))
    beside = read_class_names(folder.root)
    image_ids, declared = _choose_ids(folder, split, problems)
    known = classes or (beside[0] if beside else None)
    annotations = _read_annotations(folder, image_ids if known else sorted(folder.images))
    class_set, class_why = _find_classes(folder.root, classes, background_class, beside, annotations.values())
    value_map = _find_value_map(class_set, beside[0]) if beside else None
    samples, sizes, size_why = _build_samples(folder, image_ids, annotations, class_set, value_map, problems)
    if not declared and split is not None and not is_everything(split):
        samples = split_samples(samples, split, val_fraction)
    return Dataset(
        root=Path(root),
        format="voc",
        classes=class_set,
        samples=tuple(samples),
        problems=tuple(problems),
        single_label=False,
        has_masks=has_scorable_masks(samples),
        has_boxes=any(sample.instances is not None for sample in samples),
        why="; ".join(filter(None, (class_why, _explain_split(folder, split, declared), size_why))),
        split_counts={name: len(_read_list(path)) for name, path in folder.lists.items() if _is_plain(name)},
        declared_sizes=sizes,
    )


def guess_voc(root: Path) -> str | None:
    """Why `root` is in VOC layout, or None."""
    for below in _BELOW_ROOT:
        if (root / below / "JPEGImages").is_dir():
            return "VOC: JPEGImages found" + ("" if below == "." else f" in {below}")
    return None


READERS.register("voc")(Reader(order=10, guess=guess_voc, read=read_voc))


def _find_folder(root: Path) -> Path:
    for below in _BELOW_ROOT:
        if (root / below / "JPEGImages").is_dir():
            return root / below
    raise DataError(f"{root}: expected a folder JPEGImages in it, or in VOC2012 or VOCdevkit/VOC2012 below it.")


def _list_folder(root: Path) -> tuple[_Folder, list[Problem]]:
    images, problems = index_by_stem(list_images(root / "JPEGImages"))
    folder = _Folder(
        root=root,
        images=images,
        annotations={path.stem: path for path in list_files(root / "Annotations", ".xml")},
        masks={path.stem: path for path in list_files(root / "SegmentationClass", ".png")},
        lists=_list_splits(root / "ImageSets"),
    )
    return folder, problems


def _list_splits(folder: Path) -> dict[str, Path]:
    lists: dict[str, Path] = {}
    for below in _LIST_FOLDERS:
        for path in list_files(folder / below, ".txt"):
            lists[path.stem] = lists[f"{below}/{path.stem}"] = path
    return dict(sorted(lists.items()))


def _is_plain(name: str) -> bool:
    return "/" not in name and not _CLASS_LIST.match(name)


def _choose_ids(folder: _Folder, split: str | None, problems: list[Problem]) -> tuple[list[str], bool]:
    """The image ids of a declared split, or all of them; and whether the split is declared."""
    if split is None or is_everything(split):
        return sorted(folder.images), False
    if split not in folder.lists:
        is_declared(split, filter(_is_plain, folder.lists), folder.root / "ImageSets")
        return sorted(folder.images), False
    listed = _read_list(folder.lists[split])
    for image_id in sorted(set(listed) - set(folder.images)):
        problems.append(Problem(folder.lists[split], f"lists '{image_id}', but JPEGImages has no such image."))
    return sorted(set(listed) & set(folder.images)), True


def _read_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path}: expected UTF-8 text with one image id per line.") from None
    return [_MARK.sub("", line.strip()) for line in lines if line.strip()]


def _explain_split(folder: _Folder, split: str | None, declared: bool) -> str:
    if split is None or is_everything(split):
        return ""
    if declared:
        return f"split {split} from {folder.lists[split].relative_to(folder.root)}"
    return f"split {split} drawn from the image ids"


def _read_annotations(folder: _Folder, image_ids: Sequence[str]) -> dict[str, _Known]:
    unboxed = [image_id for image_id in image_ids if image_id not in folder.annotations]
    # Decoding PNGs leaves Python's lock, parsing XML does not.
    with ThreadPoolExecutor() as pool:
        values = dict(zip(unboxed, pool.map(lambda image_id: _read_values(folder, image_id), unboxed), strict=True))
    return {
        image_id: values[image_id] if image_id in values else _try_annotation(folder.annotations[image_id])
        for image_id in image_ids
    }


def _try_annotation(path: Path) -> _Known:
    try:
        return read_annotation(path)
    except DataError as error:
        return error


def _read_values(folder: _Folder, image_id: str) -> _Known:
    if image_id not in folder.masks:
        return DataError("there is neither an annotation file nor a SegmentationClass map of this image.")
    try:
        counts = np.bincount(read_label_map(folder.masks[image_id]).ravel(), minlength=256)
    except DataError as error:
        return error
    return tuple(int(value) for value in np.flatnonzero(counts) if value not in (BACKGROUND, IGNORE))


def _find_classes(
    root: Path,
    classes: tuple[str, ...] | None,
    background_class: str | None,
    beside: tuple[tuple[str, ...], str] | None,
    annotations: Iterable[_Known],
) -> tuple[ClassSet, str]:
    if classes:
        return build_class_set(classes, background_class, root), f"{len(classes)} classes as given"
    if beside:
        check_background_class(background_class, beside[0])
        return build_class_set(beside[0], background_class, root), f"classes from {beside[1]}"
    found = {entry.name for known in annotations if isinstance(known, Annotation) for entry in known.objects}
    if not found:
        raise DataError(
            f"{root}: no object in Annotations names a class; add a file classes.txt with one name per line in the "
            "order of the label values, or give the classes."
        )
    if found <= set(VOC_CLASSES) and not background_class:
        return ClassSet(VOC_CLASSES), "all names are among VOC's 20 classes"
    check_background_class(background_class, found)
    return build_class_set(sorted(found), background_class, root), f"{len(found)} class names from the annotations"


def _find_value_map(class_set: ClassSet, file_names: tuple[str, ...]) -> dict[int, int] | None:
    """From the label values of the files to class ids; None when they are the same."""
    if file_names == class_set.names:
        return None
    value_map = {BACKGROUND: BACKGROUND, IGNORE: IGNORE}
    for value, name in enumerate(file_names, start=1):
        if name in class_set.names or name == class_set.background_name:
            value_map[value] = class_set.id_of(name)
    return value_map


def _build_samples(
    folder: _Folder,
    image_ids: Sequence[str],
    annotations: Mapping[str, _Known],
    class_set: ClassSet,
    value_map: dict[int, int] | None,
    problems: list[Problem],
) -> tuple[list[Sample], dict[str, tuple[int, int]], str]:
    """The samples, the sizes that their boxes refer to, and a word on boxes that had to be scaled."""
    samples: dict[str, Sample] = {}
    for image_id in image_ids:
        try:
            samples[image_id] = _build_sample(folder, image_id, annotations[image_id], class_set, value_map)
        except DataError as error:
            problems.append(Problem(folder.images[image_id], str(error)))
    sizes = {
        image_id: known.size
        for image_id in samples
        if isinstance(known := annotations[image_id], Annotation) and known.size is not None
    }
    resized = find_resized(samples, sizes)
    for image_id, actual in resized.items():
        try:
            samples[image_id] = _scale_boxes(samples[image_id], sizes[image_id], actual)
            sizes[image_id] = actual
        except DataError as error:
            problems.append(Problem(samples.pop(image_id).image_path, str(error)))
    scaled = sorted(set(resized) & set(samples))
    why = f"boxes of {len(scaled)} images scaled from the size in their annotation to the image's" if scaled else ""
    return list(samples.values()), sizes, why


def _scale_boxes(sample: Sample, declared: tuple[int, int], actual: tuple[int, int]) -> Sample:
    instances = tuple(
        replace(instance, box=replace(instance.box, xyxy=scale_box(instance.box.xyxy, declared, actual)))
        for instance in sample.instances or ()
    )
    return replace(sample, instances=instances)


def _build_sample(
    folder: _Folder,
    image_id: str,
    known: _Known,
    class_set: ClassSet,
    value_map: dict[int, int] | None,
) -> Sample:
    if isinstance(known, DataError):
        raise known
    instances = None
    if isinstance(known, Annotation):
        instances = _to_instances(known.objects, class_set)
        class_ids = {instance.class_id for instance in instances}
    else:
        class_ids = {_to_class_id(value, class_set, value_map) for value in known} - {BACKGROUND}
    mask = folder.masks.get(image_id)
    return Sample(
        image_id=image_id,
        image_path=folder.images[image_id],
        class_ids=tuple(sorted(class_ids)),
        instances=instances,
        mask=None if mask is None else MaskSource("label_map", mask, value_map=value_map),
    )


def _to_instances(objects: Iterable[NamedBox], class_set: ClassSet) -> tuple[Instance, ...]:
    instances = []
    for entry in objects:
        if entry.name == class_set.background_name:
            continue
        if entry.name not in class_set.names:
            raise DataError(f"the label '{entry.name}' is not in the class list.{suggest(entry.name, class_set.names)}")
        class_id = class_set.id_of(entry.name)
        instances.append(Instance(class_id, Box(entry.xyxy, class_id, difficult=entry.difficult)))
    return tuple(instances)


def _to_class_id(value: int, class_set: ClassSet, value_map: dict[int, int] | None) -> int:
    table = value_map if value_map is not None else {class_id: class_id for class_id in class_set.ids}
    if value not in table:
        raise DataError(f"the SegmentationClass map holds the value {value}, which is not in the class list.")
    return table[value]
