"""Small networks and images from integer formulas: the same numbers on every machine, without stored weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

PRIME = 65521
OUTPUTS = 5


def formula(shape: tuple[int, ...], seed: int) -> Tensor:
    """float32 in [-0.5, 0.5): the residues of a quadratic, scattered but exact."""
    count = int(torch.tensor(shape).prod())
    index = torch.arange(1, count + 1, dtype=torch.int64)
    residues = (index * index * (7919 + 2 * seed) + index * (104729 + seed) + 31 * seed) % PRIME
    return (residues.double() / PRIME - 0.5).float().reshape(shape)


def make_images(count: int = 2, size: tuple[int, int] = (24, 32)) -> Tensor:
    """float32 (count, 3, *size) in [-2, 2): smooth waves with some roughness, another one for every image."""
    rows, columns = torch.arange(size[0]).double(), torch.arange(size[1]).double()
    waves = [
        torch.sin(rows[:, None] * (0.2 + 0.1 * k) + k) + torch.cos(columns[None] * (0.3 - 0.05 * k) - k)
        for k in range(3 * count)
    ]
    return torch.stack(waves).float().reshape(count, 3, *size) * 0.75 + formula((count, 3, *size), 11)


class PooledNet(nn.Module):
    """Two convolutions with ReLU (stride 2 each), global average pooling, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU())
        self.late = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(self.late(self.early(x))).flatten(1))


class FlatNet(nn.Module):
    """A head that sees every position, so that gradients differ between them; `curve` makes it bend."""

    def __init__(self, curve: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.early = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU())
        self.late = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU())
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(8 * 6 * 8, 12), curve())
        self.fc = nn.Linear(12, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.hidden(self.late(self.early(x))))


class CurvedNet(FlatNet):
    """Second derivatives are not zero."""

    def __init__(self) -> None:
        super().__init__(nn.Softplus)


class SignedNet(nn.Module):
    """The layer `late` gives negative values too; `after` follows it."""

    def __init__(self, after: nn.Module | None = None) -> None:
        super().__init__()
        self.early = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU())
        self.late = nn.Conv2d(6, 8, 3, 2, 1)
        self.relu = nn.ReLU() if after is None else after
        self.mix = nn.Conv2d(8, 8, 3, 1, 1)
        self.fc = nn.Linear(8, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.mix(self.relu(self.late(self.early(x)))).mean((2, 3)))


class NormalisedNet(nn.Module):
    """Convolution, batch norm and ReLU, twice; `swapped` defines the blocks in the other order than they run."""

    def __init__(self, swapped: bool = False) -> None:
        super().__init__()
        first = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
        second = nn.Sequential(nn.Conv2d(6, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU())
        for name, block in (("late", second), ("early", first)) if swapped else (("early", first), ("late", second)):
            setattr(self, name, block)
        self.fc = nn.Linear(6, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.late(self.early(x)).mean((2, 3)))


def build_tiny_vit() -> nn.Module:
    """Two blocks of 12 channels on 4 x 4 patches of 8 pixels and a class token."""
    return VisionTransformer(32, 8, 2, 2, 12, 24, num_classes=OUTPUTS)


def fill(network: nn.Module, gain: float = 1.0) -> nn.Module:
    """Every parameter and batch statistic by formula, in the order of their names; evaluation mode.

    gain: factor on the weights of the last linear layer.
    """
    with torch.no_grad():
        for seed, (name, value) in enumerate(sorted(network.state_dict().items())):
            if not value.is_floating_point():
                continue
            fan = value[0].numel() if value.ndim > 1 else 4
            value.copy_(formula(tuple(value.shape), seed) * (12.0 / fan) ** 0.5)
            if name.endswith("running_var") or (value.ndim == 1 and name.endswith("weight")):
                value.abs_().add_(0.5)
            if name == "fc.weight":
                value.mul_(gain)
    return network.eval()


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "pooled": lambda: fill(PooledNet()),
    "flat": lambda: fill(FlatNet()),
    "steep": lambda: fill(FlatNet(), gain=200.0),
    "curved": lambda: fill(CurvedNet()),
    "signed": lambda: fill(SignedNet()),
    "signed_inplace": lambda: fill(SignedNet(nn.ReLU(inplace=True))),
    "leaky": lambda: fill(SignedNet(nn.LeakyReLU(0.2))),
    "normalised": lambda: fill(NormalisedNet()),
    "swapped": lambda: fill(NormalisedNet(swapped=True)),
    "vit": lambda: fill(build_tiny_vit()),
}


def images_for(network: str) -> Tensor:
    """Two images of the size that the network takes."""
    return make_images(size=(32, 32) if network == "vit" else (24, 32))
