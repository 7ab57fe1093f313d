"""Slow, literal references for label rules and the cleaning of label maps: one pixel at a time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

F = np.float32
Labels = NDArray[np.uint8]
FOUR = [(-1, 0), (1, 0), (0, -1), (0, 1)]
EIGHT = [*FOUR, (-1, -1), (-1, 1), (1, -1), (1, 1)]


def pixels_of(size: Sequence[int]) -> list[tuple[int, int]]:
    return [(y, x) for y in range(size[0]) for x in range(size[1])]


def winner(evidence: NDArray, ids: Sequence[int], y: int, x: int) -> int:
    """First label with the most evidence."""
    labels, values = [0, *ids], [F(plane[y, x]) for plane in evidence]
    return labels[values.index(max(values))]


def label_by_rule(name: str, evidences: Sequence[NDArray], ids: Sequence[int], **options) -> Labels:
    """The rule `name`, whose options must all be given."""
    if name == "sec_cues":
        return sec_cues(evidences[0], ids, **options)
    size = evidences[0].shape[1:]
    labels = np.zeros(size, np.uint8)
    for y, x in pixels_of(size):
        first = winner(evidences[0], ids, y, x)
        if name == "argmax":
            labels[y, x] = first
        elif name == "two_threshold":
            both = first == 0 and winner(evidences[1], ids, y, x) == 0
            labels[y, x] = first or (0 if both else 255)
        elif name == "two_alpha":
            labels[y, x] = psa_label(evidences, ids, y, x)
        elif name == "relative":
            labels[y, x] = relative_label(evidences[0], ids, y, x, **options)
        else:
            labels[y, x] = thresholded_label(evidences[0], ids, y, x, **options)
    return labels


def psa_label(evidences: Sequence[NDArray], ids: Sequence[int], y: int, x: int) -> int:
    label = winner(evidences[0], ids, y, x)
    if label == 0:
        label = 255
    if winner(evidences[1], ids, y, x) == 0:
        label = 0
    if max(F(plane[y, x]) for evidence in evidences for plane in evidence) < F(1e-5):
        label = 255
    return label


def relative_label(evidence, ids, y, x, share: float, background_share: float, low: float) -> int:
    passing = []
    for channel, label in enumerate([0, *ids]):
        factor = F(background_share if label == 0 else share)
        if F(evidence[channel, y, x]) > max(F(evidence[channel].max()) * factor, F(low)):
            passing.append(label)
    return passing[0] if len(passing) == 1 else 255


def thresholded_label(evidence, ids, y, x, thresholds: dict[int, float], default: float) -> int:
    best, found = F(-1), 0
    for channel, label in enumerate(ids, 1):
        value = F(evidence[channel, y, x])
        if value > F(thresholds.get(label, default)) and value > best:
            best, found = value, label
    return found


def sec_cues(evidence: NDArray, ids: Sequence[int], foreground: float, background: float) -> Labels:
    size = evidence.shape[1:]
    margin = {(y, x): max(F(p[y, x]) for p in evidence[1:]) - F(evidence[0, y, x]) for y, x in pixels_of(size)}
    saliency = {}
    for y, x in pixels_of(size):
        near = [(min(max(y + dy, 0), size[0] - 1), min(max(x + dx, 0), size[1] - 1)) for dy, dx in [(0, 0), *EIGHT]]
        saliency[y, x] = statistics.median(margin[each] for each in near)
    count = int(background * len(saliency) + 1e-9)
    last = sorted(saliency.values())[count - 1] if count else F(-np.inf)
    cues = [{each for each in saliency if saliency[each] <= last}]
    for plane in evidence[1:]:
        cues.append({each for each in saliency if F(plane[each]) > F(plane.max()) * F(foreground)})
    labels = np.full(size, 255, np.uint8)
    for each in saliency:
        claims = [(len(cue), label) for label, cue in zip([0, *ids], cues, strict=True) if each in cue]
        if claims:
            labels[each] = min(claims)[1]
    return labels


def confident(labels: Labels, evidence: NDArray, least: float) -> Labels:
    cleaned = labels.copy()
    for y, x in pixels_of(labels.shape):
        values = [F(plane[y, x]) for plane in evidence]
        total = F(0)
        for value in values:
            total += value
        if (max(values) / total if total > 0 else F(0)) < F(least):
            cleaned[y, x] = 255
    return cleaned


def conflicts_ignored(labels: Labels, evidence: NDArray, margin: float) -> Labels:
    cleaned = labels.copy()
    for y, x in pixels_of(labels.shape):
        values = sorted(F(plane[y, x]) for plane in evidence[1:])
        if labels[y, x] not in (0, 255) and len(values) > 1 and values[-1] - values[-2] <= F(margin):
            cleaned[y, x] = 255
    return cleaned


def smaller_preferred(labels: Labels, passing: NDArray, ids: Sequence[int]) -> Labels:
    cleaned = labels.copy()
    areas = [sum(bool(plane[each]) for each in pixels_of(labels.shape)) for plane in passing]
    for y, x in pixels_of(labels.shape):
        claims = [(areas[channel], ids[channel]) for channel in range(len(ids)) if passing[channel, y, x]]
        if labels[y, x] not in (0, 255) and claims:
            cleaned[y, x] = min(claims)[1]
    return cleaned


def region_of(mask: NDArray, start: tuple[int, int], steps: list[tuple[int, int]]) -> set[tuple[int, int]]:
    """Flood fill."""
    found, waiting = {start}, [start]
    while waiting:
        y, x = waiting.pop()
        for dy, dx in steps:
            each = (y + dy, x + dx)
            inside = 0 <= each[0] < mask.shape[0] and 0 <= each[1] < mask.shape[1]
            if inside and mask[each] and each not in found:
                found.add(each)
                waiting.append(each)
    return found


def to_pixels(area: float, labels: Labels) -> float:
    return area if area >= 1 else area * labels.size


def small_removed(labels: Labels, areas: dict[int, float], replacement: int) -> Labels:
    cleaned = labels.copy()
    for each in pixels_of(labels.shape):
        label = int(labels[each])
        if label in (0, 255):
            continue
        if len(region_of(labels == label, each, EIGHT)) < to_pixels(areas.get(label, 0), labels):
            cleaned[each] = replacement
    return cleaned


def holes_filled(labels: Labels, area: float) -> Labels:
    cleaned = labels.copy()
    for label in sorted({int(each) for each in labels.ravel()} - {0, 255}):
        for each in pixels_of(labels.shape):
            if labels[each] == label:
                continue
            hole = region_of(labels != label, each, FOUR)
            edge = any(y in (0, labels.shape[0] - 1) or x in (0, labels.shape[1] - 1) for y, x in hole)
            if not edge and len(hole) <= to_pixels(area, labels) and all(labels[one] in (0, 255) for one in hole):
                cleaned[each] = label
    return cleaned


def borders_ignored(labels: Labels, margin: int) -> Labels:
    cleaned = labels.copy()
    for y, x in pixels_of(labels.shape):
        near = labels[max(y - margin, 0) : y + margin + 1, max(x - margin, 0) : x + margin + 1]
        if len({int(each) for each in near.ravel()} - {255}) > 1:
            cleaned[y, x] = 255
    return cleaned
