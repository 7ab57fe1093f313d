"""One dense CRF, computed by whichever backend an option names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wsl.refine.crf.field import DenseField
from wsl.refine.crf.kernels import Floats, Kernel
from wsl.refine.crf.pydensecrf_field import PydensecrfField

BACKENDS = ("auto", "compiled", "numpy", "pydensecrf", "torch")

Infer = Callable[[NDArray[Any], int, float], Floats]  # unary (L, H, W), iterations, tolerance -> Q (L, H, W)


def build_inference(features: NDArray[Any], kernels: Sequence[Kernel], backend: str) -> Infer:
    """Mean field over one image, whose lattices are built here, once for all unaries.

    features: real (H, W, C). backend: one of `BACKENDS`; `torch` runs on the first CUDA device, else on the CPU;
    `pydensecrf` builds its lattices for each unary, and has no tolerance.
    """
    if backend == "pydensecrf":
        peer = PydensecrfField(features, kernels)
        return lambda unary, iterations, tolerance: peer.infer(unary, iterations)
    if backend == "torch":
        return _build_torch_inference(features, kernels)
    field = DenseField(features, kernels, backend=backend)
    return lambda unary, iterations, tolerance: field.infer(unary, iterations, tolerance=tolerance)


def _build_torch_inference(features: NDArray[Any], kernels: Sequence[Kernel]) -> Infer:
    import torch

    from wsl.refine.crf.torch_field import TorchField

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bands = np.ascontiguousarray(np.moveaxis(features, -1, 0), np.float32)
    field = TorchField(torch.from_numpy(bands)[None].to(device), kernels)

    def infer(unary: NDArray[Any], iterations: int, tolerance: float) -> Floats:
        energies = torch.from_numpy(np.array(unary, np.float32))[None].to(device)
        return np.asarray(field.infer(energies, iterations, tolerance=tolerance)[0].cpu().numpy())

    return infer
