"""OpenCV's contours at one level after the other, as the published evaluation of MaxBoxAcc takes them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.oracles.evaluate_max_box_acc import Boxes, box_iou


def contour_boxes(image: NDArray[np.uint8], level: int) -> tuple[Boxes, int]:
    """(boxes x, y, x + width, y + height of all contours, row of the largest)."""
    contours, _ = cv2.findContours((image > level).astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    boxes = []
    for contour in contours:
        x, y, width, height = cv2.boundingRect(contour)
        boxes.append((float(x), float(y), float(x + width), float(y + height)))
    areas = [cv2.contourArea(contour) for contour in contours]
    return boxes, areas.index(max(areas))


def contour_overlaps(image: NDArray[np.uint8], truth: NDArray[np.float64], protocol_boxes: bool) -> NDArray[np.float64]:
    """Best IoU at every level, float64 (2, 256): row 0 of the largest contour, row 1 of all."""
    best = np.zeros((2, 256))
    height, width = image.shape
    extra = 1.0 if protocol_boxes else 0.0
    for level in range(int(image.max())):
        boxes, largest = contour_boxes(image, level)
        if protocol_boxes:
            boxes = [(x1, y1, min(x2, width - 1.0), min(y2, height - 1.0)) for x1, y1, x2, y2 in boxes]
        overlaps = [max(box_iou(box, true, extra) for true in truth) for box in boxes]
        best[:, level] = overlaps[largest], max(overlaps)
    return best
