"""Label maps against the truth: counts, IoU, every background threshold in one pass."""
