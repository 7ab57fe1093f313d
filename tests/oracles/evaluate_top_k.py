"""Top-k and GT-known localization at one threshold, image by image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Image = tuple[Mapping[int, float], Sequence[int]]  # true class -> IoU of its box, predicted classes best first


def top_k_loc(images: Sequence[Image], k: int, iou_threshold: float, strict: bool) -> float:
    hits = 0
    for best_iou, ranking in images:
        correct = False
        for predicted in list(ranking)[:k]:
            if predicted in best_iou:
                overlap = best_iou[predicted]
                if overlap > iou_threshold or (overlap == iou_threshold and not strict):
                    correct = True
        hits += correct
    return hits / len(images)


def gt_known_loc(images: Sequence[Image], iou_threshold: float) -> float:
    overlaps = [overlap for best_iou, _ in images for overlap in best_iou.values()]
    return sum(overlap >= iou_threshold for overlap in overlaps) / len(overlaps)
