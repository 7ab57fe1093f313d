"""COCO's JSON: images, annotations with boxes and masks, categories."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wsl.data.class_names import build_class_set, check_background_class
from wsl.data.dataset import READERS, Dataset, Problem, Reader, has_scorable_masks
from wsl.data.declared_size import find_resized
from wsl.data.paths import find_inside, list_files, list_folders, to_image_id
from wsl.data.split import is_declared, is_everything, split_samples
from wsl.errors import DataError, suggest
from wsl.files import read_json
from wsl.types import Box, ClassSet, Instance, MaskSource, Sample

_PARTS = ("images", "annotations", "categories")
_SPLIT_WORD = re.compile(r"(train|valid|validation|val|test|minival)(\d*)$")


@dataclass
class _Document:
    """One JSON file: `annotations` by image id; `images` in the file's order."""

    path: Path
    images: list[dict[str, Any]]
    annotations: Mapping[Any, list[dict[str, Any]]]
    names: Mapping[Any, str]
    problems: list[Problem] = field(default_factory=list)


def read_coco(
    root: Path,
    *,
    split: str | None = None,
    classes: tuple[str, ...] | None = None,
    background_class: str | None = None,
    val_fraction: float = 0.2,
) -> Dataset:
    """Reads a data set with COCO annotations.

    `root` is the JSON file, or a folder with annotations/*.json or <split>/_annotations.coco.json. Of several files
    the instances*.json are read. Images are looked for in <split>/, images/<split>/, images/ and beside. A file whose
    name contains a split (instances_val2017.json: val2017, val) declares it. Class ids 1..N follow the category ids
    in order, or `classes`. The labels of an image are the categories of all its annotations, crowds too; annotations of
    the category `background_class` count as none. The image_id is the file_name without suffix.

    Raises:
        DataError: no or several possible files, broken JSON, no categories, different categories, no such split.
    """
    candidates = _list_candidates(root)
    if not candidates:
        raise DataError(f"{root}: expected a COCO JSON file, or a folder with annotations/*.json.")
    paths, declared = _choose_files(root, candidates, split)
    documents = [_read_document(path) for path in paths]
    class_set = _find_classes(documents, classes, background_class)
    problems: list[Problem] = []
    samples: dict[str, Sample] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for document in documents:
        _add_samples(document, root, class_set, samples, sizes, problems)
    _drop_resized(samples, sizes, problems)
    chosen = _finish_samples([samples[image_id] for image_id in sorted(samples)])
    if split is not None and not is_everything(split) and not declared:
        chosen = split_samples(chosen, split, val_fraction)
    return Dataset(
        root=Path(root),
        format="coco",
        classes=class_set,
        samples=tuple(chosen),
        problems=tuple(problems),
        single_label=False,
        has_masks=has_scorable_masks(chosen),
        has_boxes=True,
        why=f"annotations from {', '.join(path.name for path in paths)}",
        split_counts={
            names[0]: len(document.images) for document in documents if (names := _split_names(document.path))
        },
        declared_sizes=sizes,
    )


def guess_coco(root: Path) -> str | None:
    """Why `root` has COCO annotations, or None."""
    candidates = _list_candidates(root)
    return f"COCO: {candidates[0].name} found" if candidates else None


READERS.register("coco")(Reader(order=20, guess=guess_coco, read=read_coco))


def _list_candidates(root: Path) -> list[Path]:
    """The JSON files that may be annotations; of those in `annotations`, instances*.json alone if there are any."""
    if root.is_file():
        return [root] if root.suffix.lower() == ".json" else []
    inside = list_files(root / "annotations", ".json")
    named = [path for path in inside if path.name.startswith("instances")]
    beside = [path for path in list_files(root, ".json") if re.search(r"coco|instances|annotations", path.name)]
    below = [path for folder in list_folders(root) for path in list_files(folder, "_annotations.coco.json")]
    return named or inside or beside or below


def _split_names(path: Path) -> list[str]:
    """What a file can be called as a split: ["val2017", "val"] for instances_val2017.json; [] for instances.json."""
    words = re.split(r"[^a-z0-9]+", path.stem.lower())
    if path.name.lower() == "_annotations.coco.json":
        words.append(path.parent.name.lower())
    matches = [match for match in map(_SPLIT_WORD.match, words) if match]
    return list(dict.fromkeys([matches[-1].group(0), matches[-1].group(1)])) if matches else []


def _choose_files(root: Path, candidates: Sequence[Path], split: str | None) -> tuple[list[Path], bool]:
    """The files to read, and whether they are exactly the split."""
    if split is None or is_everything(split):
        return list(candidates), False
    declared = {name for path in candidates for name in _split_names(path)}
    if not is_declared(split, declared, root):
        return list(candidates), False
    chosen = [path for path in candidates if split in _split_names(path)]
    if len(chosen) > 1:
        shown = ", ".join(path.name for path in chosen)
        raise DataError(f"{root}: several files hold split '{split}': {shown}; give one of these files as the data.")
    return chosen, True


def _read_document(path: Path) -> _Document:
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in _PARTS):
        found = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise DataError(f"{path}: expected a COCO object with the lists {', '.join(_PARTS)}, but got {found!s:.80}.")
    if not all(isinstance(entry, dict) for part in _PARTS for entry in content[part]):
        raise DataError(f"{path}: expected objects in the lists {', '.join(_PARTS)}, but found something else.")
    problems: list[Problem] = []
    names = _read_categories(path, content["categories"])
    images = _read_images(path, content["images"], problems)
    annotations = _group_annotations(path, content["annotations"], {image["id"] for image in images}, problems)
    return _Document(path, images, annotations, names, problems)


def _is_id(value: Any) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _read_categories(path: Path, categories: list[dict[str, Any]]) -> dict[Any, str]:
    names: dict[Any, str] = {}
    for category in categories:
        category_id, name = category.get("id"), category.get("name")
        if not _is_id(category_id) or not isinstance(name, str) or not name or category_id in names:
            raise DataError(f"{path}: each category needs an id of its own and a name, but got {category!s:.80}.")
        names[category_id] = name
    if not names or len(set(names.values())) != len(names):
        raise DataError(f"{path}: expected categories with different names, but got {sorted(names.values())!s:.80}.")
    return dict(sorted(names.items(), key=lambda entry: (isinstance(entry[0], str), entry[0])))


def _read_images(path: Path, images: list[dict[str, Any]], problems: list[Problem]) -> list[dict[str, Any]]:
    kept: dict[Any, dict[str, Any]] = {}
    for image in images:
        image_id = image.get("id")
        if not _is_id(image_id) or not isinstance(image.get("file_name"), str):
            problems.append(Problem(path, f"an image needs an id and a file_name, but is {image!s:.80}."))
        elif image_id in kept:
            problems.append(Problem(path, f"image id {image_id} appears twice; the first image with it is kept."))
        else:
            kept[image_id] = image
    return list(kept.values())


def _group_annotations(
    path: Path, annotations: list[dict[str, Any]], image_ids: set[Any], problems: list[Problem]
) -> dict[Any, list[dict[str, Any]]]:
    groups: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    strays: list[dict[str, Any]] = []
    for annotation in annotations:
        image_id = annotation.get("image_id")
        if _is_id(image_id) and image_id in image_ids:
            groups[image_id].append(annotation)
        else:
            strays.append(annotation)
    if strays:
        first = f"annotation {strays[0].get('id')} of image id {strays[0].get('image_id')!s:.40}"
        problems.append(Problem(path, f"{len(strays)} annotations are of images that are not listed, first {first}."))
    own_ids = [annotation["id"] for annotation in annotations if _is_id(annotation.get("id"))]
    doubles = len(own_ids) - len(set(own_ids))
    if doubles:
        problems.append(Problem(path, f"{doubles} annotations repeat the id of another; all are kept."))
    return groups


def _find_classes(
    documents: Sequence[_Document], classes: tuple[str, ...] | None, background_class: str | None
) -> ClassSet:
    first = documents[0]
    for document in documents[1:]:
        if document.names != first.names:
            raise DataError(f"{document.path}: its categories differ from those of {first.path}; open them one by one.")
    check_background_class(background_class, first.names.values())
    return build_class_set(classes or first.names.values(), background_class, first.path)


def _add_samples(
    document: _Document,
    root: Path,
    class_set: ClassSet,
    samples: dict[str, Sample],
    sizes: dict[str, tuple[int, int]],
    problems: list[Problem],
) -> None:
    """Adds the file's images to `samples` and their declared sizes to `sizes`; unusable ones to `problems`."""
    folder = _find_image_folder(document, root)
    problems += document.problems
    for image in document.images:
        path = folder / image["file_name"]
        try:
            path = find_inside(folder, image["file_name"])
            image_id = to_image_id(path, folder)
            if not path.is_file():
                raise DataError("there is no such image file.")
            if image_id in samples:
                raise DataError(f"its name without suffix, '{image_id}', belongs to another image too.")
            instances = _read_instances(document, image["id"], class_set)
        except DataError as error:
            problems.append(Problem(path, f"image id {image['id']} of {document.path.name}: {error}"))
            continue
        class_ids = tuple(sorted({instance.class_id for instance in instances}))
        samples[image_id] = Sample(image_id, path, class_ids, instances)
        height, width = image.get("height"), image.get("width")
        if isinstance(height, int) and isinstance(width, int) and min(height, width) > 0:
            sizes[image_id] = (height, width)


def _drop_resized(samples: dict[str, Sample], sizes: Mapping[str, tuple[int, int]], problems: list[Problem]) -> None:
    """Masks cannot be scaled exactly, so images that are not as large as declared are left out."""
    for image_id, actual in find_resized(samples, sizes).items():
        declared = sizes[image_id]
        what = (
            f"it is {actual[0]}x{actual[1]}, but its annotations are for {declared[0]}x{declared[1]} (height x width)."
        )
        problems.append(Problem(samples.pop(image_id).image_path, what))


def _find_image_folder(document: _Document, root: Path) -> Path:
    """The first likely folder that has one of the first images."""
    base = root if root.is_dir() else root.parent.parent if root.parent.name == "annotations" else root.parent
    names = _split_names(document.path)
    candidates = [base / name for name in names] + [base / "images" / name for name in names]
    candidates += [base / "images", base, document.path.parent]
    for folder in candidates:
        for image in document.images[:20]:
            try:
                if find_inside(folder, image["file_name"]).is_file():
                    return folder
            except DataError:
                continue
    shown = ", ".join(str(folder) for folder in dict.fromkeys(candidates))
    raise DataError(f"{document.path}: none of its first images was found in {shown}.")


def _read_instances(document: _Document, image_id: Any, class_set: ClassSet) -> tuple[Instance, ...]:
    found = (_read_instance(entry, document.names, class_set) for entry in document.annotations.get(image_id, ()))
    return tuple(instance for instance in found if instance is not None)


def _read_instance(annotation: dict[str, Any], names: Mapping[Any, str], class_set: ClassSet) -> Instance | None:
    """One instance; None when its category is the background."""
    category_id = annotation.get("category_id")
    if not _is_id(category_id) or category_id not in names:
        raise DataError(f"annotation {annotation.get('id')} has the unknown category id {category_id!s:.40}.")
    name = names[category_id]
    if name == class_set.background_name:
        return None
    if name not in class_set.names:
        raise DataError(f"the label '{name}' is not in the class list.{suggest(name, class_set.names)}")
    class_id = class_set.id_of(name)
    box = Box(_read_box(annotation), class_id)
    return Instance(class_id, box, annotation.get("segmentation") or None, annotation.get("iscrowd") in (1, True))


def _read_box(annotation: dict[str, Any]) -> tuple[float, float, float, float]:
    """COCO's [x, y, width, height] as half-open xyxy."""
    try:
        x, y, width, height = (float(side) for side in annotation["bbox"])
    except (KeyError, TypeError, ValueError):
        x = y = width = height = math.nan
    if not (width > 0 and height > 0 and all(map(math.isfinite, (x, y, width, height)))):
        raise DataError(
            f"annotation {annotation.get('id')}: expected bbox as [x, y, width, height] with positive sides, "
            f"but got {annotation.get('bbox')!s:.60}."
        )
    return (x, y, x + width, y + height)


def _finish_samples(samples: Iterable[Sample]) -> list[Sample]:
    """With a mask of any instance in the data set, all label maps can be drawn; an image without objects is empty."""
    kept = list(samples)
    if not any(instance.segmentation is not None for sample in kept for instance in sample.instances or ()):
        return kept
    return [replace(sample, mask=MaskSource("instances")) for sample in kept]
