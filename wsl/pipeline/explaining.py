"""What a classifier sees in single images: its predictions, and pictures of the evidence for classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from wsl.cam.diagnosis import forget_warnings
from wsl.cam.method import CamMethod, build_method
from wsl.cam.options import CamOptions
from wsl.cam.preset import Preset, get_preset
from wsl.data.images import read_image
from wsl.data.paths import list_images
from wsl.errors import ConfigError, DataError, WslError, suggest
from wsl.files import write_bytes, write_json
from wsl.models.output_names import find_output, find_outputs
from wsl.pipeline.evidence import Evidence, compute_evidence
from wsl.pipeline.explained_files import (
    ClassNumbers,
    Drawing,
    name_classes,
    name_images,
    write_maps,
    write_pictures,
)
from wsl.pipeline.images import failure_of
from wsl.pipeline.named_classifier import NamedClassifier, Prediction
from wsl.pipeline.output_folder import check_output_folder
from wsl.pipeline.run_folder import Failure
from wsl.progress import Progress, Silent, track
from wsl.report.colours import list_colormaps
from wsl.types import Image, Sample

PREDICTIONS = "predictions.json"


@dataclass(frozen=True)
class ExplainOptions:
    """What is explained, and how it is drawn.

    methods: CAM methods. layers: module names or ("stages",), each in a column of its own; () = what each method looks
    at by itself. classes: names or numbers separated by commas, None = the most probable one. true: the image's true
    class, explained too where another is predicted. top: predictions that are listed. pooling: average against max
    pooling of the same features.
    """

    methods: tuple[str, ...] = ("grad_cam",)
    layers: tuple[str, ...] = ()
    classes: str | None = None
    true: str | None = None
    top: int = 5
    preset: str = "grad_cam"
    colour: str = "turbo"
    alpha: float = 0.5
    pooling: bool = False
    figure: bool = False

    def check(self) -> None:
        """Raises ConfigError for a value that cannot be used, before any image is read."""
        if not self.methods:
            raise ConfigError("method: expected at least one CAM method, but got none.")
        for method in self.methods:
            build_method(method)
        get_preset(self.preset)
        if self.top < 1:
            raise ConfigError(f"top: expected at least 1 prediction to list, but got {self.top}.")
        if self.colour not in list_colormaps():
            raise ConfigError(f"Unknown colour map '{self.colour}'.{suggest(self.colour, list_colormaps())}")
        if not 0 <= self.alpha <= 1:
            raise ConfigError(f"alpha: expected a value in [0, 1], but got {self.alpha}.")


@dataclass(frozen=True)
class Explanation:
    """One image: `name` begins its files; `size` and `input_size` are (height, width) of the image and of what the
    network saw. top: the most probable outputs. explained: those with maps. pooling: logits and probabilities of the
    explained outputs under "average" and "max" pooling. files: relative to the output folder."""

    name: str
    path: str
    size: tuple[int, int]
    input_size: tuple[int, int]
    top: tuple[Prediction, ...]
    true: Prediction | None
    explained: tuple[Prediction, ...]
    pooling: dict[str, tuple[Prediction, ...]]
    files: tuple[str, ...]


def list_image_files(given: Sequence[str | Path]) -> list[Path]:
    """The given files, and the images directly in given folders, each once.

    DataError for a folder without any, ConfigError for an empty name.
    """
    found: dict[Path, Path] = {}
    for name in given:
        if not str(name).strip():
            raise ConfigError("images: expected the name of a file or folder, but got an empty one.")
        path = Path(name)
        inside = list_images(path) if path.is_dir() else [path]
        if not inside:
            raise DataError(f"{path}: expected images in this folder, but found none.")
        for each in inside:
            found.setdefault(each.resolve(), each)
    return list(found.values())


def explain_images(
    paths: Sequence[Path],
    classifier: NamedClassifier,
    options: ExplainOptions,
    output: Path,
    progress: Progress | None = None,
) -> tuple[list[Explanation], list[Failure]]:
    """Writes pictures, score maps, classes.txt and predictions.json of all images into `output`.

    An image that cannot be read is a failure and the others go on. ConfigError or ModelError when the options do not
    fit the classifier, or `output` can be no folder.
    """
    options.check()
    check_output_folder(str(output))
    forget_warnings()
    explainer = Explainer(classifier, options, output)
    explained: list[Explanation] = []
    failures: list[Failure] = []
    named = zip(paths, name_images(paths), strict=True)
    for path, name in track(named, progress or Silent(), "explain", len(paths)):
        try:
            explained.append(explainer.explain(path, name))
        except Exception as error:
            if isinstance(error, WslError) and not isinstance(error, DataError):
                raise  # the same for every image
            failures.append(failure_of(Sample(name, path), error))
    explainer.write_summary(explained, failures)
    return explained, failures


class Explainer:
    """The classifier and the options, and the numbers that map files have given to classes so far."""

    def __init__(self, classifier: NamedClassifier, options: ExplainOptions, output: Path) -> None:
        self.classifier, self.options, self.output = classifier, options, output
        self.preset: Preset = get_preset(options.preset)
        self.methods: dict[str, CamMethod] = {name: build_method(name) for name in options.methods}
        self.numbers = ClassNumbers(classifier.names, classifier.background)
        self.class_files = name_classes(classifier.names)
        names = classifier.names
        self.classes = None if options.classes is None else find_outputs(options.classes, names)
        self.true = None if options.true is None else find_output(options.true, names)
        if self.classes is not None:
            for each in self.classes:
                self.numbers.number(each)

    def explain(self, path: Path, name: str) -> Explanation:
        """One image. Raises DataError when it cannot be read."""
        image = read_image(path)
        settings = CamOptions(layers=self.options.layers, scales=(1.0,), flip=False, preset=self.preset)
        found = compute_evidence(
            self.classifier, image, self.methods, settings, self._choose, poolings=self.options.pooling
        )
        files = self._write(name, image, found)
        explained = tuple(found.prediction_of(output) for output in found.outputs)
        pooling = {
            kind: tuple(each for each in self.classifier.predict(pooled.logits) if each.output in found.outputs)
            for kind, pooled in found.pooled.items()
        }
        true = None if self.true is None else found.prediction_of(self.true)
        top = found.predictions[: self.options.top]
        size = image.shape[0], image.shape[1]
        return Explanation(name, str(path), size, found.input_size, top, true, explained, pooling, tuple(files))

    def _write(self, name: str, image: Image, found: Evidence) -> list[str]:
        rows = [(self.class_files[each], self._row_title(each, found)) for each in found.outputs]
        drawing = Drawing(self.options.colour, self.options.alpha, self.options.figure)
        files = write_pictures(self.output, name, image, found.columns, rows, drawing)
        return files + write_maps(self.output, name, found.columns, found.outputs, self.numbers.number)

    def _row_title(self, output: int, found: Evidence) -> str:
        explained, top = found.prediction_of(output), found.predictions[0]
        marks = [mark for mark, marked in (("predicted", top.output), ("true", self.true)) if marked == output]
        return f"{explained.name} {explained.probability:.3f}" + (f" ({', '.join(marks)})" if marks else "")

    def _choose(self, predictions: Sequence[Prediction]) -> tuple[int, ...]:
        """The classes to explain; the true one too where another is predicted."""
        top = predictions[0].output
        wanted = (top,) if self.classes is None else self.classes
        if self.true is not None and self.true != top:
            wanted = (*wanted, self.true)
        return tuple(dict.fromkeys(wanted))

    def write_summary(self, explained: Sequence[Explanation], failures: Sequence[Failure]) -> None:
        """classes.txt, line i the name of class id i in the map files, and predictions.json."""
        if self.numbers.outputs:
            write_bytes(self.output / "classes.txt", "".join(f"{n}\n" for n in self.numbers.list_names()).encode())
        summary = {
            "model": self.classifier.model.name,
            "label_mode": self.classifier.label_mode,
            "options": asdict(self.options),
            "preset": self.preset.as_dict(),
            "images": [asdict(each) for each in explained],
            "failures": [asdict(each) for each in failures],
        }
        write_json(self.output / PREDICTIONS, summary)
