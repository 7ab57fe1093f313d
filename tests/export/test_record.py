from __future__ import annotations

import numpy as np
import pytest

from wsl.errors import ConfigError, DataError
from wsl.export import EXPORTERS, ExportRecord
from wsl.export.record import check_record
from wsl.types import Box, ClassSet

CLASSES = ClassSet(("cat", "dog"))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (ExportRecord("../a", "a.jpg", (1, 1)), "relative name without"),
        (ExportRecord("a", "/etc/a.jpg", (1, 1)), "relative name without"),
        (ExportRecord("a", "b\\..\\a.jpg", (1, 1)), "relative name without"),
        (ExportRecord("", "a.jpg", (1, 1)), "relative name without"),
        (ExportRecord("a", "a.jpg", (1, 1), None, (Box((0, 0, 1, 1), 3),)), r"expected class ids 1\.\.2.* has 3"),
        (ExportRecord("a", "a.jpg", (1, 2), np.zeros((2, 1), np.uint8)), r"label map \(2, 1\) of an image of \(1, 2\)"),
        (ExportRecord("a", "a.jpg", (1, 1), np.full((1, 1), 3, np.uint8)), r"values 0\.\.2 and 255, but found 3"),
        (ExportRecord("a", "a.jpg", (1, 1), np.zeros((1, 1), np.int64)), "expected uint8"),
    ],
)
def test_records_that_do_not_fit_are_refused(record: ExportRecord, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_record(record, CLASSES)


def test_a_record_that_fits_passes() -> None:
    check_record(ExportRecord("x/a..b", "x/a..b.jpg", (1, 2), np.array([[2, 255]], np.uint8)), CLASSES)


def test_formats_are_listed() -> None:
    assert EXPORTERS.names() == ["coco", "voc"]
    with pytest.raises(ConfigError, match=r"Unknown export format 'cocoo'\. Did you mean: coco"):
        EXPORTERS.get("cocoo")
