"""Numbers as they come from JSON, where any value can be of any kind and a whole number of any length."""

from __future__ import annotations

import math
from typing import Any, TypeGuard


def is_number(value: Any) -> bool:
    """True for a finite int or float that is no bool and that a float64 can hold."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def is_count(value: Any) -> TypeGuard[int]:
    """True for a whole number from 1 that is no bool."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
