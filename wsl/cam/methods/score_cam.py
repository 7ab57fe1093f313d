"""Score-CAM: weights are what the network says of the image seen through each channel. Wang et al., CVPRW 2020.

H_k = min-max of the enlarged A_k, s_ck = y_c(X * H_k), w_ck = softmax_k(s_ck - y_c(X_0)), M_c = sum_k w_ck A_k.
The baseline X_0 is the zero of the normalised input, the image that an empty mask leaves; since the softmax runs over
channels, no baseline changes the maps.

Three definitions are in use, and their maps differ:
- "paper": the above, with the target as it is (a logit, unless another target is chosen);
- "official": the authors' script; the weight is the softmax probability of the class itself, constant channels are
  skipped, and the sum is taken at the size of the image, (K, H, W);
- "grad_cam": the package of that name; enlarged with aligned corners, 1e-8 added to the range, no baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from wsl.cam.masked import MaskedMethod, Masks, compute_mask_scores, find_masks
from wsl.cam.method import METHODS
from wsl.cam.targets import Logit, Probability, Target
from wsl.cam.trace import Trace
from wsl.errors import ConfigError, suggest

VARIANTS = ("paper", "official", "grad_cam")


@METHODS.register("score_cam")
@dataclass(frozen=True)
class ScoreCam(MaskedMethod):
    """One forward pass per channel that is not constant, and one for the baseline, whatever the number of classes."""

    variant: str = "paper"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variant not in VARIANTS:
            raise ConfigError(f"cam.options.variant: unknown value '{self.variant}'.{suggest(self.variant, VARIANTS)}")

    def find_masks(self, activation: Tensor, size: tuple[int, int]) -> Masks:
        if self.variant != "grad_cam":
            return super().find_masks(activation, size)
        return find_masks(activation, size, channels=self.channels, align_corners=True, epsilon=1e-8)

    def score(self, trace: Trace, row: int, masks: Masks, targets: Sequence[Target]) -> Tensor:
        if self.variant == "official":
            targets = [Probability(each.outputs) if isinstance(each, Logit) else each for each in targets]
        return compute_mask_scores(trace, row, masks, targets, batch_size=self.batch_size)

    def weigh(self, scores: Tensor, masks: Masks) -> Tensor:
        if self.variant != "official":
            return super().weigh(scores, masks)
        return scores[masks.rows] * (masks.rows > 0)[:, None]

    def combine(self, weights: Tensor, activation: Tensor, size: tuple[int, int]) -> Tensor:
        maps = super().combine(weights, activation, size)
        if self.variant != "official":
            return maps
        # Enlarging is linear: the K sums are enlarged, not the C channels.
        return functional.interpolate(maps[:, None], size, mode="bilinear")[:, 0]
