"""The two programs that match COCO results with objects: pycocotools, the reference, and faster-coco-eval."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from wsl.errors import ConfigError, MissingExtraError
from wsl.evaluate.detection.coco_records import CocoRecords, Json
from wsl.evaluate.segmentation.confusion import check_policy

BACKENDS = ("auto", "pycocotools", "faster_coco_eval")
KINDS = ("bbox", "segm", "boundary")
BOUNDARY_RATIO = 0.02  # of the image's diagonal

# pycocotools divides by (n + 2e-16), which changes 1 / 1 and nothing else
_ALMOST_ONE = 1 / (1 + np.spacing(1))


@dataclass(frozen=True)
class CocoTables:
    """What COCO's scores are means of; -1 where a class has no object of that size.

    `precision` float64 (IoU 10, recall 101, class, area 4, most results), `recall` float64 (IoU 10, class, area 4,
    most results); areas are all, small, medium, large.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def choose_backend(backend: str, kind: str) -> str:
    """The program that "auto" stands for: faster-coco-eval where it is installed, else pycocotools.

    Boundaries are compared by faster-coco-eval only. ConfigError for an unknown or unfit name, MissingExtraError where
    the program is not installed.
    """
    check_policy(backend, BACKENDS, "backend")
    check_policy(kind, KINDS, "kind")
    installed = importlib.util.find_spec("faster_coco_eval") is not None
    if kind == "boundary" and backend == "pycocotools":
        raise ConfigError("backend: pycocotools has no boundary AP; expected 'faster_coco_eval' or 'auto'.")
    if not installed and kind == "boundary":
        raise MissingExtraError("Boundary AP", "faster-coco-eval", "fast", "score masks (kind 'segm') instead")
    if not installed and backend == "faster_coco_eval":
        raise MissingExtraError(f"backend '{backend}'", "faster-coco-eval", "fast", "choose backend 'pycocotools'")
    return backend if backend != "auto" else "faster_coco_eval" if installed else "pycocotools"


def run_backend(records: CocoRecords, kind: str, max_results: Sequence[int], backend: str) -> CocoTables:
    """Matches and counts; `backend` as from `choose_backend`. Both give the same numbers, bit for bit."""
    run = _run_pycocotools if backend == "pycocotools" else _run_faster
    evaluation = run(records, kind, max_results)
    precision = np.asarray(evaluation.eval["precision"], np.float64)
    precision = np.where(precision == _ALMOST_ONE, 1.0, precision)
    return CocoTables(precision, np.asarray(evaluation.eval["recall"], np.float64))


def _run_pycocotools(records: CocoRecords, kind: str, max_results: Sequence[int]) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_to_coco(COCO, records.truth), _to_coco(COCO, records.found), kind)
        return _evaluate(evaluation, max_results)


def _run_faster(records: CocoRecords, kind: str, max_results: Sequence[int]) -> Any:
    import faster_coco_eval

    truth, found = (_to_coco(faster_coco_eval.COCO, each) for each in (records.truth, records.found))
    evaluation = faster_coco_eval.COCOeval_faster(truth, found, kind, boundary_dilation_ratio=BOUNDARY_RATIO)
    return _evaluate(evaluation, max_results)


def _evaluate(evaluation: Any, max_results: Sequence[int]) -> Any:
    evaluation.params.maxDets = list(max_results)
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


def _to_coco(factory: Any, content: Json) -> Any:
    """A COCO object made in memory. Not by loadRes: that fails on an empty list."""
    coco = factory()
    # both programs write into the annotations
    coco.dataset = {**content, "annotations": [dict(entry) for entry in content["annotations"]]}
    coco.createIndex()
    return coco
