"""One piece of work per image: failures are recorded, the window is bounded, processes agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wsl.errors import DataError
from wsl.pipeline.images import do_images
from wsl.progress import Silent
from wsl.types import Sample


@dataclass(frozen=True)
class Touch:
    """Makes a file per image; two kinds of images fail."""

    folder: Path

    def __call__(self, sample: Sample) -> None:
        if sample.image_id == "bad":
            raise DataError("bad.png: not an image.")
        if sample.image_id == "bug":
            raise ZeroDivisionError("oops")
        (self.folder / sample.image_id).touch()


def samples(count: int) -> list[Sample]:
    names = [*[f"i{index}" for index in range(count)], "bad", "bug"]
    return [Sample(name, Path(f"{name}.png")) for name in names]


def test_failures_do_not_stop_the_others(tmp_path: Path) -> None:
    failures = do_images(samples(5), Touch(tmp_path), workers=1, title="touch", progress=Silent())
    assert {failure.image_id: failure.message for failure in failures} == {
        "bad": "bad.png: not an image.",
        "bug": "bug.png: ZeroDivisionError: oops",
    }
    assert len(list(tmp_path.iterdir())) == 5


def test_processes_do_the_same(tmp_path: Path) -> None:
    failures = do_images(samples(30), Touch(tmp_path), workers=2, title="touch", progress=Silent())
    assert sorted(failure.image_id for failure in failures) == ["bad", "bug"]
    assert len(list(tmp_path.iterdir())) == 30
