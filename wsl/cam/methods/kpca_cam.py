"""KPCA-CAM: EigenCAM with kernel principal components. Karmani et al., KPCA-CAM, 2024.

M = sqrt(l_1) a_1, with l_1 and a_1 the first eigenvalue and vector of the centred kernel matrix of the positions,
k(x, y) = tanh(gamma <x, y> + 1) on channel vectors centred over space. No class takes part; the sign is that of
EigenCAM. The kernel matrix needs 8 bytes times the square of the number of positions.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wsl.cam.method import METHODS, ActivationMethod
from wsl.cam.option_checks import check_positive
from wsl.cam.principal import compute_first_kernel_component, turn_to_mean


@METHODS.register("kpca_cam")
@dataclass(frozen=True)
class KpcaCam(ActivationMethod):
    """gamma: of the kernel; None = 1 / number of channels."""

    gamma: float | None = None

    def __post_init__(self) -> None:
        if self.gamma is not None:
            check_positive(self.gamma, "gamma")

    def combine(self, activation: Tensor) -> Tensor:
        return turn_to_mean(compute_first_kernel_component(activation, self.gamma), activation)
