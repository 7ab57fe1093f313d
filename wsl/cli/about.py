"""`wsl info`: what is installed and which devices there are."""

from __future__ import annotations

import platform

from wsl.version import __version__, find_versions

REQUIRED = (
    *("torch", "torchvision", "numpy", "scipy", "numba", "scikit-image", "opencv-python-headless", "pillow"),
    "pycocotools",
)
OPTIONAL = {
    "pydensecrf2": "refine.options.backend=pydensecrf: pip install 'wsl[crf]'",
    "timm": "model.name=timm/...: pip install 'wsl[timm]'",
    "faster-coco-eval": "faster COCO AP: pip install 'wsl[fast]'",
}


def describe_machine() -> str:
    """Lines of text."""
    lines = [f"wsl {__version__}, Python {platform.python_version()}, {platform.platform()}"]
    found = find_versions((*REQUIRED, *OPTIONAL))
    lines += [f"{name} {found[name] if found[name] != 'missing' else 'MISSING'}" for name in REQUIRED]
    lines += [
        f"{name} {found[name] if found[name] != 'missing' else f'not installed ({use})'}"
        for name, use in OPTIONAL.items()
    ]
    return "\n".join([*lines, *_devices()])


def _devices() -> list[str]:
    try:
        import torch
        import torchvision  # noqa: F401  (a pair that does not match fails here)
    except (ImportError, RuntimeError) as error:
        return [f"torch and torchvision do not work together ({error}): install both in one go, from one index."]
    from wsl.cam.method import list_methods
    from wsl.models import list_models
    from wsl.refine.refiner import REFINERS

    methods = f"methods (cam.method): {', '.join(list_methods())}"
    refiners = f"refiners (refine.method): {', '.join(REFINERS.names())}"
    models = f"models (model.name): {', '.join(list_models())}"
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    devices = [f"cuda:{index} {name}" for index, name in enumerate(names)]
    return [f"cpu: {torch.get_num_threads()} threads", *devices, models, methods, refiners]
