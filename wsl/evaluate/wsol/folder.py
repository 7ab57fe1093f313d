"""Scores a folder of score maps against wsolevaluation's metadata: boxes by MaxBoxAcc, masks by PxAP."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsl.errors import ConfigError, DataError
from wsl.evaluate.files.options import Evaluation, describe_classes
from wsl.evaluate.localization.max_box_acc import MaxBoxAcc
from wsl.evaluate.localization.pixel_ap import PixelAp
from wsl.evaluate.localization.pixel_histograms import make_edges
from wsl.evaluate.localization.pixel_protocols import PIXEL_PROTOCOLS
from wsl.evaluate.localization.top_k import TopKLocalization
from wsl.evaluate.metrics.map_tables import tabulate_boxes, tabulate_pixels
from wsl.evaluate.result import Score
from wsl.evaluate.segmentation.confusion import check_policy
from wsl.evaluate.wsol.maps import FoundMaps, Maps, find_maps, pick_class, read_wsol_map
from wsl.evaluate.wsol.masks import WsolMasks
from wsl.evaluate.wsol.metadata import WsolMetadata, read_wsol_metadata
from wsl.evaluate.wsol.rankings import Rankings, read_rankings
from wsl.progress import Progress, Silent, track
from wsl.types import ClassSet

PROTOCOLS = tuple(PIXEL_PROTOCOLS)
KS = (1, 5)
_LARGEST_CONTOUR = 0  # row of a pair's curves

ReadMap = Callable[[Path], tuple[Maps, tuple[int, ...]]]  # file -> maps (K, h, w), class ids or ()
ImageMaps = Iterable[tuple[str, NDArray[np.floating] | None]]  # image id, map (h, w), None = constant


def evaluate_wsol_folder(
    maps: Path,
    metadata: Path | WsolMetadata,
    mask_root: Path | WsolMasks | None = None,
    *,
    protocol: str = "wsolevaluation",
    missing: str = "error",
    rankings: Path | None = None,
    interval: float | None = None,
    classes: ClassSet | None = None,
    read_map: ReadMap | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """MaxBoxAcc and, with `rankings`, Top-k localization where the metadata gives boxes; PxAP and pIoU where masks.

    The tables hold every image's curve or histogram (some kilobytes each).

    Args:
        maps: folder of maps by image id, see `find_maps` and `read_wsol_map`. Of several maps in a file the one of the
            image's class is scored.
        metadata: folder of one split's text files, or what `read_wsol_metadata` made of it.
        mask_root: folder that the paths of masks begin at; or a `WsolMasks`, which remembers the decoded masks from
            one folder of maps to the next.
        protocol: one of PROTOCOLS; for boxes see `box_protocols`, for masks `pixel_protocols`. "wsolevaluation" takes
            maps of the image's size or 224 x 224, "wsolevaluation_files" 224 x 224 in [0, 1], "original" the image's
            size (without sizes in the metadata, that of its masks).
        missing: images without map: "error", "skip", or "constant", scored as if their map were 0 everywhere.
        rankings: predicted classes of each image, see `read_rankings`. Top-k takes the box of the largest contour.
        interval: step between thresholds; None is the protocol's.
        classes: names, in the order of the labels; None shows "class 1", "class 2", ..
        read_map: reads files of other forms; None is `read_wsol_map`.
        progress: told of every image.

    Raises:
        DataError: metadata, maps, masks or rankings are broken, incomplete, or of sizes that do not fit.
        ConfigError: an unknown protocol or policy; fewer `classes` than labels; rankings for masks; no `mask_root` for
            masks.
    """
    check_policy(protocol, PROTOCOLS, "protocol")
    truth = metadata if isinstance(metadata, WsolMetadata) else read_wsol_metadata(metadata)
    _check_classes(classes, truth)
    files = find_maps(maps, truth.image_ids, missing)
    images = _read_all(files, truth, read_map or read_wsol_map, progress or Silent())
    if truth.masks:
        masks = _open_masks(truth, mask_root, protocol, rankings)
        found = _score_masks(images, masks, PixelAp(protocol, interval, keep_histograms=True), classes)
    else:
        ranked = None if rankings is None else read_rankings(rankings, truth)
        found = _score_boxes(images, truth, ranked, protocol, interval, classes)
    about = describe_classes(classes) if classes else {}
    return dataclasses.replace(found, about=about).with_counts(files.counts)


def _check_classes(classes: ClassSet | None, truth: WsolMetadata) -> None:
    largest = max(truth.class_ids.values())
    if classes is not None and largest > len(classes):
        raise ConfigError(
            f"{truth.root / 'class_labels.txt'}: its labels go up to {largest - 1}, which needs {largest} class names, "
            f"but --classes gives {len(classes)}: give one name for each label, or leave --classes out."
        )


def _read_all(files: FoundMaps, truth: WsolMetadata, read_map: ReadMap, progress: Progress) -> ImageMaps:
    for image_id, path in track(files.paths.items(), progress, "score maps", len(files.paths)):
        if path is None:
            yield image_id, None
        else:
            yield image_id, pick_class(*read_map(path), truth.class_ids[image_id], path)


def _open_masks(
    truth: WsolMetadata, mask_root: Path | WsolMasks | None, protocol: str, rankings: Path | None
) -> WsolMasks:
    if rankings is not None:
        raise ConfigError(f"{truth.root}: Top-k localization needs boxes, but these are masks; leave out --rankings.")
    if mask_root is None:
        raise ConfigError(f"{truth.root}: the metadata lists masks; give --mask-root, the folder their paths begin at.")
    if isinstance(mask_root, Path):
        return WsolMasks(truth, mask_root, PIXEL_PROTOCOLS[protocol])
    if mask_root.protocol != PIXEL_PROTOCOLS[protocol] or mask_root.metadata != truth:
        raise ConfigError("These masks were opened for another protocol or other metadata; open them anew.")
    return mask_root


def _score_masks(images: ImageMaps, masks: WsolMasks, metric: PixelAp, classes: ClassSet | None) -> Evaluation:
    truth = masks.metadata
    for image_id, score_map in images:
        mask, ignore = masks.read(image_id)
        found = np.zeros(mask.shape) if score_map is None else score_map
        metric.update(found, mask, ignore, truth.class_ids[image_id], image_id, truth.sizes.get(image_id))
    scores = metric.scores(classes)
    return Evaluation(scores, tabulate_pixels(metric, scores))


def _score_boxes(
    images: ImageMaps,
    truth: WsolMetadata,
    rankings: Rankings | None,
    protocol: str,
    interval: float | None,
    classes: ClassSet | None,
) -> Evaluation:
    if not truth.sizes:
        raise DataError(f"{truth.root / 'image_sizes.txt'}: missing or empty, but boxes need the sizes of the images.")
    thresholds = None if interval is None else make_edges(interval)[:-3]
    metric = MaxBoxAcc(protocol=protocol, thresholds=thresholds, keep_curves=True)
    grid = PIXEL_PROTOCOLS[protocol].grid
    for image_id, score_map in images:
        size = truth.sizes[image_id]
        found = np.zeros((grid, grid) if grid else size) if score_map is None else score_map
        metric.update(found, truth.boxes[image_id], size, image_id)
    scores = metric.scores(classes)
    top = [] if rankings is None else _score_rankings(metric, rankings, classes)
    return Evaluation(scores + top, tabulate_boxes(metric, scores))


def _score_rankings(metric: MaxBoxAcc, rankings: Rankings, classes: ClassSet | None) -> list[Score]:
    """Top-k for each of KS that all rankings are long enough for."""
    curves = metric.curves()
    shortest = min(len(ranking) for ranking in rankings.values())
    top = TopKLocalization(curves.thresholds, [k for k in KS if k <= shortest])
    for row, image_id in enumerate(curves.image_ids):
        curve = curves.best[row, _LARGEST_CONTOUR]
        top.update({int(curves.class_ids[row]): curve}, rankings[image_id], image_id)
    # the comparison of IoU is Top-k's own, all else is how the boxes were made
    shared = metric.protocol.conventions() | {"box": "largest contour"}
    return [dataclasses.replace(score, conventions=shared | score.conventions) for score in top.scores(classes)]
