"""EigenCAM: the activation's positions on the first principal axis of its channels. Muhammad & Yeasin, IJCNN 2020.

M = X v_1, X (h * w, C) centred per channel, v_1 its first right singular vector. No class takes part. The sign of v_1
is arbitrary: it is chosen so that the map correlates with the mean of the channels.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wsl.cam.method import METHODS, ActivationMethod
from wsl.cam.principal import compute_first_component, turn_to_mean


@METHODS.register("eigen_cam")
@dataclass(frozen=True)
class EigenCam(ActivationMethod):
    """The same map for every class."""

    def combine(self, activation: Tensor) -> Tensor:
        return turn_to_mean(compute_first_component(activation), activation)
