from __future__ import annotations

import io
import zipfile
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from tests.evaluate.certainty.tables_of_images import (
    box_table,
    histogram_table,
    make_counts,
    make_curves,
    make_histograms,
    segmentation_table,
    sweep_table,
)
from wsl.errors import ConfigError, DataError
from wsl.evaluate.certainty.detection_table import DetectionTable
from wsl.evaluate.certainty.pair_table import PairTable
from wsl.evaluate.certainty.ratio_table import RatioTable
from wsl.evaluate.certainty.table_files import TABLES, make_slug, read_tables, write_tables
from wsl.evaluate.certainty.value_table import ValueTable


def make_tables() -> dict:
    generator = np.random.default_rng(0)
    rows, half = np.array([0, 1]), np.array([0.5, 0.25])
    return {
        "mIoU": segmentation_table(make_counts(generator, 4), absent="zero"),
        "mIoU of score maps": sweep_table(make_counts(generator, 4, 4), threshold="fixed:0.2"),
        "MaxBoxAccV2@0.5": box_table(make_curves(generator, 4), iou_thresholds=(0.5,)),
        "CorLoc": PairTable(("ä/1", 'b "2"'), rows, rows, half, half),
        "energy": ValueTable(("a", "b"), rows, rows, half, "classes"),
        "PxAP": histogram_table(make_histograms(generator, 4)),
        "pixel accuracy": RatioTable(("a", "b"), rows, rows, rows + 1, of_truth=False),
        "VOC AP@0.5": DetectionTable(("a", "b"), rows, rows, half, half > 0.3, rows, rows, rows),
    }


def test_tables_come_back(tmp_path: Path) -> None:
    tables = make_tables()
    assert {table.kind for table in tables.values()} == set(TABLES)
    paths = write_tables(tmp_path, tables)
    assert [path.name for path in paths][:3] == ["miou.npz", "miou_of_score_maps.npz", "maxboxaccv2@0.5.npz"]
    found = read_tables(tmp_path)
    assert set(found) == set(tables)
    for name, table in tables.items():
        assert type(found[name]) is type(table)
        for field in fields(table):
            mine, theirs = getattr(table, field.name), getattr(found[name], field.name)
            np.testing.assert_array_equal(mine, theirs)
            assert type(mine) is type(theirs)
        np.testing.assert_array_equal(
            found[name].measure(np.ones((1, len(table.image_ids)))), table.measure(np.ones((1, len(table.image_ids))))
        )


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    first, second = (write_tables(tmp_path / name, make_tables()) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_names_become_file_names_and_must_differ_in_them(tmp_path: Path) -> None:
    assert make_slug("../MaxBoxAcc V2@0.5/..") == "maxboxacc_v2@0.5"
    assert make_slug("é") == "score"
    table = make_tables()["energy"]
    with pytest.raises(ConfigError, match=r"must differ .* \['a b', 'a-b'\]"):
        write_tables(tmp_path, {"a b": table, "a-b": table})
    assert not (tmp_path / "per_image").exists()


def change(path: Path, **arrays: object) -> None:
    """Writes the file anew with other arrays; None takes one away."""
    with np.load(path) as archive:
        content = {name: archive[name] for name in archive.files} | arrays
    np.savez(path, **{name: array for name, array in content.items() if array is not None})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"format": np.int64(2)}, "expected table format 1, but got 2"),
        ({"kind": np.array("boxes")}, "but got 'boxes'"),
        ({"kind": None}, r"lacks \['kind'\]"),
        ({"settings": np.array("{")}, "not a table of values"),
        ({"settings": np.array("[]")}, "not a table of values"),
        ({"settings": np.array('{"mean": 3, "out_of": 1}')}, "not a table of values"),
        ({"settings": np.array('{"mean": "pairs"}')}, "A table of values has .*'out_of'"),
        ({"more": np.zeros(2)}, "A table of values has"),
        ({"image_ids": np.array("[1, 2]")}, "expected texts"),
        ({"image_ids": np.array('["a"]')}, "row_image: expected"),
        ({"value": np.array(["x", "y"])}, "expected finite numbers"),
        ({"row_image": np.array([0.0, 1.0])}, "row_image: expected integers"),
        ({"value": np.array([{}, {}], object)}, "without pickle"),
    ],
)
def test_foreign_files_are_named(tmp_path: Path, arrays: dict, message: str) -> None:
    (path,) = write_tables(tmp_path, {"energy": make_tables()["energy"]})
    change(path, **arrays)
    with pytest.raises(DataError, match=message) as caught:
        read_tables(tmp_path)
    assert str(path) in str(caught.value)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    (path,) = write_tables(tmp_path, {"energy": make_tables()["energy"]})
    whole = path.read_bytes()
    no_array = io.BytesIO()
    with zipfile.ZipFile(no_array, "w") as archive:
        archive.writestr("kind", "values")
    for content in (b"", whole[:100], whole[: len(whole) // 2], b"x" * 50, no_array.getvalue()):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"energy\.npz: expected an .npz of arrays"):
            read_tables(tmp_path)


def test_a_folder_without_tables_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="per_image: no per-image tables"):
        read_tables(tmp_path)
