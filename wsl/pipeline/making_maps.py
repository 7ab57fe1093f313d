"""The cams stage: images of equal size in batches, decoded ahead, one map file per image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from wsl.cam.diagnosis import forget_warnings
from wsl.cam.engine import compute_pyramids
from wsl.cam.fold import fold_batch_norms
from wsl.cam.method import CamMethod
from wsl.cam.options import CamOptions
from wsl.cam.preset import get_preset
from wsl.cam.pyramid import MapPyramid
from wsl.cam.store import SUFFIX, write_pyramid
from wsl.config import CamConfig
from wsl.data.images import read_image, read_image_size
from wsl.errors import ConfigError, DataError, WslError
from wsl.models.classifier import Classifier
from wsl.pipeline.classifiers import ReadyClassifier
from wsl.pipeline.context import Context
from wsl.pipeline.images import failure_of
from wsl.pipeline.run_folder import Failure
from wsl.types import Image, Sample

POOLED_NEEDS = frozenset({"activations", "gradients", "hessian", "head"})  # what a pooled head gives without hooks


def cam_options(cam: CamConfig, label_mode: str, predict_side: int | None = None) -> CamOptions:
    """The settings of the cams stage as the engine wants them."""
    return CamOptions(
        method=cam.method,
        options=dict(cam.options),
        layers=layer_names(cam.layer),
        target=cam.target,
        scales=tuple(cam.scales),
        flip=cam.flip,
        long_side=cam.long_side,
        tile=cam.tile,
        tile_overlap=cam.tile_overlap,
        channels_last=cam.channels_last,
        preset=get_preset(cam.preset),
        class_threshold=cam.class_threshold,
        label_mode=label_mode,
        precision=cam.precision,
        predict_side=predict_side,
    )


def layer_names(layer: object) -> tuple[str, ...]:
    """`cam.layer`: null, a name, or a list of names."""
    if layer is None:
        return ()
    names = [layer] if isinstance(layer, str) else layer
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"cam.layer: expected a layer's name, a list of them, or null, but got {layer!r}.")
    return tuple(names)


def prepare_model(model: Classifier, options: CamOptions, device: torch.device, compiled: bool = False) -> Classifier:
    """The classifier made ready for maps: batch norms folded, device, memory layout, compiled if asked."""
    method = options.build_method()
    # FullGrad is a sum over biases: a folded norm would merge two of them.
    if "bias_gradients" not in method.needs:
        fold_batch_norms(model, options.layers)
    if compiled:
        check_compile(model, options, method)
        model.features = torch.compile(model.features, dynamic=True)  # type: ignore[method-assign]
    model = model.to(device)
    return model.to(memory_format=torch.channels_last) if options.channels_last else model


def check_compile(model: Classifier, options: CamOptions, method: CamMethod) -> None:
    """Raises ConfigError for what needs to look inside the network, which a compiled one does not allow."""
    if not model.pooled or options.layers or method.default_layers != "last" or method.needs - POOLED_NEEDS:
        raise ConfigError(
            "cam.compile=true: expected a pooled head, layer null and a method that looks at the pooled map alone, "
            f"but got {model.name}, layer {list(options.layers) or 'null'} and {options.method}; set cam.compile=false."
        )


def make_maps(context: Context, ready: ReadyClassifier, device: torch.device) -> list[Failure]:
    """Writes the maps of every sample that has none yet; returns the images that failed.

    Batches are cut from the whole list of samples, not from what is left to do, so a run that was killed and
    started again computes the same batches and hence the same bytes.
    """
    forget_warnings()
    maker = MapMaker(context, ready, device)
    failures: list[Failure] = []
    batches = equal_size_batches(context.samples, maker.batch_size, failures)
    todo = [batch for batch in batches if any(not maker.path(sample).exists() for sample in batch)]
    context.progress.start("cams", sum(len(batch) for batch in todo))
    try:
        for batch, images in _decode_ahead(todo, failures):
            failures.extend(maker.do_batch(batch, images))
            context.progress.step(len(batch))
    finally:
        context.progress.stop()
    return failures


class MapMaker:
    """Computes and writes one batch at a time with one classifier."""

    def __init__(self, context: Context, ready: ReadyClassifier, device: torch.device) -> None:
        self.context, self.ready, self.device = context, ready, device
        self.options = cam_options(context.config.cam, ready.label_mode, ready.predict_side)
        self.preset = self.options.build_method().fit_preset(self.options.preset)
        self.model = prepare_model(ready.model, self.options, device, context.config.cam.compile)
        # On a CPU batches gain nothing and cost memory; on a GPU they keep it busy.
        self.batch_size = context.config.cam.batch_size or (1 if device.type == "cpu" else 16)
        self.given = context.config.cam.classes == "given"

    def path(self, sample: Sample) -> Path:
        """The map file of a sample."""
        return self.context.output("cams", sample.image_id, SUFFIX)

    def do_batch(self, samples: Sequence[Sample], images: Sequence[Image]) -> list[Failure]:
        """Maps of images of one size; when the batch fails, each image is tried alone."""
        wanted = [sample.class_ids if self.given else None for sample in samples]
        ids = [sample.image_id for sample in samples]
        try:
            pyramids = compute_pyramids(self.model, images, ids, wanted, self.ready.groups, self.options, self.device)
        except WslError:
            raise  # a layer, method or classifier that does not fit: the same for every image
        except Exception as error:
            if len(samples) > 1:
                return [f for s, i in zip(samples, images, strict=True) for f in self.do_batch([s], [i])]
            return [failure_of(samples[0], error)]
        outcomes = [self._write(sample, pyramid) for sample, pyramid in zip(samples, pyramids, strict=True)]
        return [failure for failure in outcomes if failure is not None]

    def _write(self, sample: Sample, pyramid: MapPyramid) -> Failure | None:
        try:
            write_pyramid(self.path(sample), pyramid, self.preset)
        except Exception as error:
            return failure_of(sample, error)
        return None


def equal_size_batches(samples: Iterable[Sample], batch_size: int, failures: list[Failure]) -> list[list[Sample]]:
    """Samples in batches of images of one size, by their headers; unreadable ones go to `failures`."""
    open_batches: dict[tuple[int, int], list[Sample]] = {}
    batches: list[list[Sample]] = []
    for sample in samples:
        try:
            size = read_image_size(sample.image_path)
        except DataError as error:
            failures.append(failure_of(sample, error))
            continue
        batch = open_batches.setdefault(size, [])
        if not batch:
            batches.append(batch)
        batch.append(sample)
        if len(batch) == batch_size:
            del open_batches[size]
    return batches


def _decode_ahead(
    batches: Sequence[list[Sample]], failures: list[Failure]
) -> Iterator[tuple[list[Sample], list[Image]]]:
    """Decodes the next batch while the network works on this one. Images that fail leave their batch."""
    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(_decode, batches[0]) if batches else None
        for index in range(len(batches)):
            assert upcoming is not None  # set above and below whenever there is another batch
            decoded = upcoming.result()
            upcoming = pool.submit(_decode, batches[index + 1]) if index + 1 < len(batches) else None
            failures.extend(outcome for _, outcome in decoded if isinstance(outcome, Failure))
            good = [(sample, image) for sample, image in decoded if not isinstance(image, Failure)]
            if good:
                yield [sample for sample, _ in good], [image for _, image in good]


def _decode(batch: list[Sample]) -> list[tuple[Sample, Image | Failure]]:
    return [(sample, _read(sample)) for sample in batch]


def _read(sample: Sample) -> Image | Failure:
    try:
        return read_image(sample.image_path)
    except Exception as error:
        return failure_of(sample, error)
