"""One image of an audit: where the map lies, and what the classifier says of the photomontages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wsl.checks import check_same_size
from wsl.report.overlay import DISPLAY_SIDE, draw_scores, resize_for_display
from wsl.report.panel import draw_panel
from wsl.types import Image, Mask

CELL_WIDTH = 190  # display pixels, at least: room for the title above a tall image
OUTLINE = ((0, 0, 0), 3), ((255, 255, 255), 1)  # colour and width in display pixels, drawn in this order


@dataclass(frozen=True)
class AuditCell:
    """One picture with its title; a score map (H, W) in [0, 1] is laid over it, a mask (H, W) outlined."""

    title: str
    image: Image
    score_map: NDArray[np.floating] | None = None
    outline: Mask | None = None


def draw_audit_figure(cells: Sequence[AuditCell], side: int = DISPLAY_SIDE) -> Image:
    """The pictures in a row, uint8 (H, W, 3); `side`: pixels of a picture's longer side."""
    return draw_panel([(cell.title, _widen(_draw_cell(cell, side))) for cell in cells])


def _widen(shown: Image) -> Image:
    """White on the right, up to the least width of a cell."""
    missing = max(CELL_WIDTH - shown.shape[1], 0)
    return np.pad(shown, ((0, 0), (0, missing), (0, 0)), constant_values=255)


def _draw_cell(cell: AuditCell, side: int) -> Image:
    shown = resize_for_display(cell.image, side)
    if cell.score_map is not None:
        check_same_size(cell.image, cell.score_map, "image", "score map")
        peak = float(cell.score_map.max())
        shown = draw_scores(cell.image, cell.score_map / peak if peak > 0 else cell.score_map, side=side)
    if cell.outline is None:
        return shown
    check_same_size(cell.image, cell.outline, "image", "outline")
    mask = cv2.resize(cell.outline.astype(np.uint8), shown.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for colour, width in OUTLINE:
        cv2.drawContours(shown, contours, -1, colour, width)
    return shown
