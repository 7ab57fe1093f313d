"""torchvision's networks and their published weights. torchvision is imported only when one of them is asked for."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from wsl.errors import ModelError, suggest

PUBLISHED_OUTPUTS = 1000  # ImageNet-1k


def build_net(name: str, num_outputs: int | None) -> tuple[nn.Module, int]:
    """torchvision's network `name` with random weights, and the number of logits it shall have."""
    from torchvision.models import get_model

    return get_model(name, weights=None), PUBLISHED_OUTPUTS if num_outputs is None else num_outputs


def find_published(name: str, weights: str) -> Any:
    """torchvision's weights entry for the network `name`.

    weights: "imagenet" (the default ones), "IMAGENET1K_V1" or "MobileNet_V2_Weights.IMAGENET1K_V1".
    Raises ModelError with the names there are.
    """
    from torchvision.models import get_model_weights, list_models

    if name not in list_models():
        raise ModelError(
            f"{name} has no published weights, but got '{weights}'; give a file, or model.weights=null for random ones."
        )
    entries = get_model_weights(name)
    if weights == "imagenet":
        return entries.DEFAULT
    known = {entry.name: entry for entry in entries}
    family, _, short = weights.rpartition(".")
    if short not in known or family not in ("", entries.__name__):
        raise ModelError(
            f"Unknown weights '{weights}' for {name}: neither a file nor published.{suggest(short, known)} "
            "Give 'imagenet', one of these names, or model.weights=FILE."
        )
    return known[short]


def download_published(entry: Any) -> dict[str, Tensor]:
    """State dict of a weights entry, from torch's cache or the network; ModelError when it cannot be had."""
    try:
        return dict(entry.get_state_dict(progress=False, check_hash=True, weights_only=True))
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"The weights {entry} could not be downloaded ({reason.rstrip('.')}); "
            "a local file can be given by model.weights=FILE."
        ) from None


def find_normalisation(name: str, entry: Any = None) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """(mean, std) that go with a weights entry (None: the network's default one); None when torchvision has none."""
    from torchvision.models import get_model_weights, list_models

    if name not in list_models():
        return None
    transforms = (entry or get_model_weights(name).DEFAULT).transforms()
    return tuple(transforms.mean), tuple(transforms.std)
