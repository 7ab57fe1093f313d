"""Channels as masks of the image: the part that Score-CAM, SS-CAM and IS-CAM share.

Each channel, enlarged to the size of the image and stretched to [0, 1], keeps some pixels of the normalised image and
draws the others towards zero; what the network then says of a class is the channel's score. Masks are built on the
device one chunk at a time, so memory does not grow with the number of channels, and one set of forward passes scores
every class. Channels that are constant have an empty mask: they all share the score of the zero image.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from wsl.cam.chunks import choose_batch_size
from wsl.cam.method import CamMethod, check_targets, sum_of_channels
from wsl.cam.option_checks import check_count
from wsl.cam.targets import Target, Targets, compute_scores
from wsl.cam.trace import Trace

FLAT = 1e-6  # a channel whose range is this part of its largest value is constant up to rounding

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Masks:
    """The masks of one image, row 0 the empty one, then those of the channels that are not constant.

    channels: int64 (n,), the channels in use, ascending. rows: int64 (n,), the mask of each, 0 for a constant one.
    maps: float32 (1 + live, h, w), what the masks are made of. size: (height, width) of the image. align_corners,
    epsilon: geometry of the enlargement, and what is added to the range that the mask is divided by.
    """

    channels: Tensor
    rows: Tensor
    maps: Tensor
    size: tuple[int, int]
    align_corners: bool = False
    epsilon: float = 0.0

    def __len__(self) -> int:
        return len(self.maps)

    def build(self, start: int, stop: int) -> Tensor:
        """Masks start..stop-1, float32 (stop - start, H, W) in [0, 1]; enlarged first, then stretched."""
        small = self.maps[start:stop, None]
        large = functional.interpolate(small, self.size, mode="bilinear", align_corners=self.align_corners)[:, 0]
        low, high = large.amin((1, 2), keepdim=True), large.amax((1, 2), keepdim=True)
        spread = high - low + self.epsilon
        return (large - low) / torch.where(spread > 0, spread, torch.ones_like(spread))


def find_masks(
    activation: Tensor,
    size: tuple[int, int],
    *,
    channels: int | None = None,
    align_corners: bool = False,
    epsilon: float = 0.0,
) -> Masks:
    """Masks for an image of `size` from its activation float32 (C, h, w).

    channels: use only so many, those with the largest standard deviation over space; None or more than C = all.
    """
    count = len(activation)
    used = torch.arange(count, device=activation.device)
    if channels is not None and channels < count:
        spread = activation.flatten(1).std(1, unbiased=False)
        used = spread.argsort(descending=True, stable=True)[:channels].sort().values
    maps = activation[used]
    flat = maps.flatten(1)
    live = flat.amax(1) - flat.amin(1) > FLAT * flat.abs().amax(1)
    rows = torch.where(live, live.cumsum(0), torch.zeros_like(used))
    maps = torch.cat([torch.zeros_like(maps[:1]), maps[live]])
    return Masks(used, rows, maps, size, align_corners, epsilon)


def compute_mask_scores(
    trace: Trace,
    row: int,
    masks: Masks,
    targets: Sequence[Target],
    *,
    batch_size: int | None = None,
    change: Change | None = None,
) -> Tensor:
    """What each target says of image `row` under each mask: float32 (1 + live, K), row 0 of the empty mask.

    change: applied to a chunk of masks (n, H, W) before the image is multiplied with it. batch_size: masks per forward;
    None = by the size of the image.
    """
    image, found = trace.images[row], []
    step = batch_size or choose_batch_size(trace.size, on_cpu=image.device.type == "cpu")
    for start in range(0, len(masks), step):
        mask = masks.build(start, min(start + step, len(masks)))
        mask = mask if change is None else change(mask)
        outputs = trace.predict((image * mask[:, None]).to(image.dtype)).float()
        found.append(torch.stack([compute_scores(target, outputs) for target in targets], dim=1))
    return torch.cat(found)


@dataclass(frozen=True)
class MaskedMethod(CamMethod):
    """M_c = sum_k softmax_k(s_ck - s_c0) A_k, where s_ck is the score of class c under the mask of channel k.

    batch_size: masked images per forward pass, which does not change the maps; None = by their size. channels: an
    approximation for speed, use only the so many channels that vary most over the image; None = all, the method as
    published.
    """

    batch_size: int | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None:
            check_count(self.batch_size, "batch_size")
        if self.channels is not None:
            check_count(self.channels, "channels")

    def compute_maps(self, trace: Trace, layer: str | None, targets: Targets) -> list[Tensor]:
        """One set of masked forward passes per image that has classes."""
        check_targets(targets, len(trace.images))
        activations = trace.activation(layer)
        with torch.no_grad():
            return [self._compute_map(trace, row, activations[row], each) for row, each in enumerate(targets)]

    def _compute_map(self, trace: Trace, row: int, activation: Tensor, targets: Sequence[Target]) -> Tensor:
        if not targets:
            return self.combine(activation.new_zeros((len(activation), 0)), activation, trace.size)
        masks = self.find_masks(activation, trace.size)
        weights = self.weigh(self.score(trace, row, masks, targets), masks)
        return self.combine(weights, activation[masks.channels], trace.size)

    def find_masks(self, activation: Tensor, size: tuple[int, int]) -> Masks:
        """The masks of one image, see `find_masks`."""
        return find_masks(activation, size, channels=self.channels)

    @abstractmethod
    def score(self, trace: Trace, row: int, masks: Masks, targets: Sequence[Target]) -> Tensor:
        """Scores (1 + live, K) of the masks."""

    def weigh(self, scores: Tensor, masks: Masks) -> Tensor:
        """Scores (1 + live, K) -> weights (n, K) of the channels in use."""
        return (scores[masks.rows] - scores[0]).softmax(0)

    def combine(self, weights: Tensor, activation: Tensor, size: tuple[int, int]) -> Tensor:
        """Weights (n, K) and activation (n, h, w) of the channels in use, image of `size` -> maps (K, h, w)."""
        return sum_of_channels(weights.T, activation)
