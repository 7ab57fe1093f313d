"""FEM: channels weigh by how much of the image they single out. Fuad et al., Features Understanding in 3D CNNs, 2020.

w_k = share of the positions with A_k > mean_k + 2 std_k, M = sum_k w_k A_k. No class takes part. No value of n can
lie more than sqrt(n - 1) deviations above their mean: a map of up to five positions gives zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wsl.cam.method import METHODS, ActivationMethod, sum_of_channels
from wsl.cam.option_checks import check_positive


@METHODS.register("fem")
@dataclass(frozen=True)
class Fem(ActivationMethod):
    """deviations: how many standard deviations (of the positions, not of a sample) above the mean count as rare."""

    deviations: float = 2.0

    def __post_init__(self) -> None:
        check_positive(self.deviations, "deviations")

    def combine(self, activation: Tensor) -> Tensor:
        flat = activation.flatten(1)
        limit = flat.mean(1) + self.deviations * flat.std(1, unbiased=False)
        # The mean of a constant channel may be rounded to below its values: nothing in it is rare.
        rare = (flat > limit[:, None]) & (flat.amax(1) > flat.amin(1))[:, None]
        return sum_of_channels(rare.float().mean(1)[None], activation)[0]
