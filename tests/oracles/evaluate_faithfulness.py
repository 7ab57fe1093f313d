"""Literal, slow forms of the faithfulness metrics: loops over pixels, equations written one by one."""

from __future__ import annotations

import numpy as np
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve


def list_ranked(score_map: np.ndarray) -> list[tuple[int, int]]:
    """(row, column) of all pixels, the highest first, ties in reading order."""
    places = [(y, x) for y in range(score_map.shape[0]) for x in range(score_map.shape[1])]
    return sorted(places, key=lambda place: -float(score_map[place]))


def replace_pixels(start: np.ndarray, end: np.ndarray, places: list[tuple[int, int]]) -> np.ndarray:
    """`start` with the given pixels of `end`."""
    result = start.astype(np.float64).copy()
    for place in places:
        result[place] = end[place]
    return result


def curve_area(predict, start: np.ndarray, end: np.ndarray, score_map: np.ndarray, steps: int) -> float:
    """Trapezoid area of the scores when pixels go over from `start` to `end` by rank."""
    ranked = list_ranked(score_map)
    scores = []
    for step in range(steps + 1):
        count = round(step / steps * len(ranked))
        scores.append(float(predict(replace_pixels(start, end, ranked[:count])[None].astype(np.float32))[0]))
    return sum((scores[step] + scores[step + 1]) / 2 / steps for step in range(steps))


def impute_removed(image: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Every removed pixel the weighted mean of its neighbours in the image, one equation after the other."""
    height, width = removed.shape
    places = [(y, x) for y in range(height) for x in range(width) if removed[y, x]]
    number = {place: index for index, place in enumerate(places)}
    matrix, right = lil_matrix((len(places), len(places))), np.zeros((len(places), 3))
    for (y, x), row in number.items():
        for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
            other = (y + dy, x + dx)
            if not (0 <= other[0] < height and 0 <= other[1] < width):
                continue
            weight = 1 / 12 if dy and dx else 1 / 6
            matrix[row, row] += weight
            if other in number:
                matrix[row, number[other]] -= weight
            else:
                right[row] += weight * image[other]
    values = spsolve(matrix.tocsr(), right).reshape(len(places), 3)
    filled = image.astype(np.float64).copy()
    for place, row in number.items():
        filled[place] = values[row]
    return filled


def points_at(score_map: np.ndarray, inside: np.ndarray, tolerance: float) -> float:
    """Share of the maxima that have an object pixel within `tolerance`, every pair of pixels measured."""
    objects = [(y, x) for y in range(inside.shape[0]) for x in range(inside.shape[1]) if inside[y, x]]
    hits = []
    for y in range(inside.shape[0]):
        for x in range(inside.shape[1]):
            if score_map[y, x] == score_map.max():
                hits.append(any((y - v) ** 2 + (x - u) ** 2 <= tolerance**2 for v, u in objects))
    return sum(hits) / len(hits)


def energy_inside(score_map: np.ndarray, inside: np.ndarray) -> float:
    """Share of the sum, pixel by pixel."""
    total = within = 0.0
    for y in range(inside.shape[0]):
        for x in range(inside.shape[1]):
            total += float(score_map[y, x])
            within += float(score_map[y, x]) if inside[y, x] else 0.0
    return within / total
