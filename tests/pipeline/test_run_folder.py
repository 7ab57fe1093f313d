"""The run folder: lock, manifest, stale outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsl.errors import ConfigError, DataError
from wsl.pipeline.run_folder import Failure, RunFolder, hash_inputs
from wsl.types import Sample


def make_samples(folder: Path, count: int = 3) -> list[Sample]:
    for index in range(count):
        (folder / f"{index}.png").write_bytes(b"x" * (index + 1))
    return [Sample(f"s/{index}", folder / f"{index}.png", (1,)) for index in range(count)]


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first = RunFolder(tmp_path / "run")
    with pytest.raises(ConfigError, match="another wsl process"):
        RunFolder(tmp_path / "run")
    del first
    RunFolder(tmp_path / "run")


def test_manifest_of_another_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"format": 99}')
    with pytest.raises(DataError, match=r"manifest\.json"):
        RunFolder(tmp_path)


def test_stage_is_remembered_with_sorted_failures(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.begin("cams", "abc", {"a": 1})
    run.finish("cams", {"images": 2}, [Failure("z", "broken"), Failure("a", "broken too")])
    del run
    stage = RunFolder(tmp_path).stage("cams")
    assert stage["state"] == "done"
    assert [failure["image_id"] for failure in stage["failures"]] == ["a", "z"]


def test_outputs_of_changed_and_vanished_images_are_dropped(tmp_path: Path) -> None:
    samples = make_samples(tmp_path)
    run = RunFolder(tmp_path / "run")
    run.drop_stale("maps", ".npz", samples)
    for sample in samples:
        path = run.output("maps", sample.image_id, ".npz")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"map")
    run.drop_stale("maps", ".npz", samples)
    assert all(run.output("maps", sample.image_id, ".npz").exists() for sample in samples)
    samples[0].image_path.write_bytes(b"other bytes")
    relabelled = Sample("s/1", samples[1].image_path, (2,))
    run.drop_stale("maps", ".npz", [samples[0], relabelled])
    assert not any(run.output("maps", sample.image_id, ".npz").exists() for sample in samples)


def test_hash_depends_on_ids_labels_and_bytes_but_not_on_order(tmp_path: Path) -> None:
    samples = make_samples(tmp_path)
    before = hash_inputs(samples)
    assert hash_inputs(samples[::-1]) == before
    assert hash_inputs(samples[:2]) != before
    samples[0].image_path.write_bytes(b"longer than before")
    assert hash_inputs(samples) != before
