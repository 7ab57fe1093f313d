"""What a network says of each image, for refiners that ask for it: features, attention, or edges from elsewhere."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wsl.data.images import read_image
from wsl.errors import ConfigError, DataError
from wsl.files import read_json, write_bytes, write_json
from wsl.pipeline.context import Context
from wsl.pipeline.images import failure_of, missing
from wsl.pipeline.run_folder import Failure

if TYPE_CHECKING:
    import torch

    from wsl.pipeline.classifiers import ReadyClassifier

log = logging.getLogger("wsl")
MADE_HERE = ("features", "attention")
MARK = "made_with.json"


def check_guides(context: Context, kind: str) -> None:
    """Raises ConfigError when a refiner wants a kind of guide that is neither given nor can be made."""
    given = context.config.refine.guides
    if given is not None and not Path(given).is_dir():
        raise ConfigError(f"refine.guides: expected a folder with one file for each image, but {given} is none.")
    if kind and given is None and kind not in MADE_HERE:
        raise ConfigError(f"refine.method wants {kind}: give refine.guides=DIR with <image id>.npy or .png for each.")
    if kind and given is None and context.config.cam.source is not None:
        raise ConfigError(
            f"refine.method wants {kind} of the run's network, but cam.source brings maps without one: give "
            "refine.guides=DIR with <image id>.npy for each image."
        )


def find_guides(context: Context, kind: str) -> Path | None:
    """The folder of the guides of this kind: the one that is given, or where `make_guides` leaves them; None for ""."""
    if not kind:
        return None
    given = context.config.refine.guides
    return context.run.path / "guides" / kind if given is None else Path(given)


def make_guides(context: Context, kind: str, ready: ReadyClassifier, device: torch.device) -> list[Failure]:
    """Features or attention of the run's classifier for each image into `guides/<kind>/`; resumes.

    Images are as large as for the maps at scale 1 (`cam.long_side`).
    """
    folder = context.run.path / "guides" / kind
    _drop_outdated(context, folder)
    todo = missing(context.samples, lambda image_id: folder / f"{image_id}.npy")
    failures: list[Failure] = []
    model = ready.model.to(device).eval()
    context.progress.start(f"guides ({kind})", len(todo))
    try:
        for sample in todo:
            try:
                values = compute_guide(model, read_image(sample.image_path), kind, device, context.config.cam.long_side)
                _write_array(folder / f"{sample.image_id}.npy", values)
            except (DataError, RuntimeError) as error:
                failures.append(failure_of(sample, error))
            context.progress.step()
    finally:
        context.progress.stop()
    return failures


def compute_guide(
    model: Any, image: NDArray[np.uint8], kind: str, device: torch.device, long_side: int | None = None
) -> NDArray[np.float16]:
    """features: the last map (C, h, w), divided by its mean absolute value; attention: (blocks, T, T), heads' mean.

    float16, from one pass over the image at its own size, or with the longer side resized to `long_side`. Raises
    ModelError when the network has no attention.
    """
    import torch

    from wsl.cam.inputs import input_size, stack_images
    from wsl.cam.preset import get_preset
    from wsl.cam.trace import Trace

    size = input_size(image.shape[:2], long_side, 1.0, model.output_stride, get_preset("irn"))
    batch = stack_images([image], size, model.mean, model.std).to(device)
    needs = frozenset({"attention"} if kind == "attention" else {"activations"})
    with torch.no_grad():
        trace = Trace(model, batch, needs=needs)
    if kind == "attention":
        return torch.stack([block[0].mean(0) for block in trace.attention]).half().cpu().numpy()
    features = trace.activation(None)[0]
    # PSA's affinity is a mean of differences: without a scale it would depend on the network's
    return (features / features.abs().mean().clamp_min(1e-6)).half().cpu().numpy()


def _drop_outdated(context: Context, folder: Path) -> None:
    """Guides of another classifier must not be used: the mark names the state of the stage that used it."""
    mark = {"cams": context.run.stage("cams").get("fingerprint")}
    if (folder / MARK).is_file() and read_json(folder / MARK) == mark:
        return
    for path in folder.rglob("*.npy"):
        path.unlink()
    write_json(folder / MARK, mark)


def _write_array(path: Path, values: NDArray[Any]) -> None:
    import io

    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    write_bytes(path, buffer.getvalue())
