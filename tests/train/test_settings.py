from __future__ import annotations

from typing import Any

import pytest
import torch

from wsl.errors import ConfigError
from wsl.train import TrainSettings
from wsl.train.precision import choose_dtype


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("epochs", 0, "at least 1, but got 0"),
        ("batch_size", 1, "at least 2"),
        ("image_size", 8, "a side of 16 to 8192 pixels, but got 8"),
        ("learning_rate", 0.0, "a number above 0"),
        ("learning_rate", "fast", "a number above 0, but got 'fast'"),
        ("head_learning_rate_factor", -1, "a number above 0"),
        ("weight_decay", 2, "from 0 to 1"),
        ("momentum", 1.0, "from 0 to below 1"),
        ("warmup_epochs", -0.5, "number of epochs"),
        ("label_smoothing", 1.0, "from 0 to below 1"),
        ("workers", -1, "0 to 256 threads"),
        ("seed", -1, "an integer from 0"),
        ("label_mode", "both", "unknown value 'both'. Known: multi, single"),
        ("optimizer", "adam", "unknown value 'adam'. Did you mean: adamw"),
        ("schedule", "step", "unknown value 'step'"),
        ("class_balance", "weight", "Did you mean: weights"),
        ("resize", "pad", "unknown value 'pad'"),
        ("precision", "bf16", "unknown value 'bf16'"),
        ("augment", ("hflip", "colour"), "unknown value 'colour'. Did you mean: color"),
        ("augment", ("hflip", "hflip"), "expected every name once"),
    ],
)
def test_bad_values_are_named(key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as found:
        TrainSettings(**{key: value})
    assert f"train.{key}: " in str(found.value)
    assert message in str(found.value)


def test_nan_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"train\.learning_rate"):
        TrainSettings(learning_rate=float("nan"))


def test_precision_on_the_cpu() -> None:
    cpu = torch.device("cpu")
    assert choose_dtype("auto", cpu) == torch.float32
    assert choose_dtype("bfloat16", cpu) == torch.bfloat16
    with pytest.raises(ConfigError, match="float16 needs a CUDA device, but the device is cpu"):
        choose_dtype("float16", cpu)


def test_precision_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    for supported, dtype in ((True, torch.bfloat16), (False, torch.float16)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda supported=supported: supported)
        assert choose_dtype("auto", torch.device("cuda")) == dtype
