"""Average precision of scored boxes and masks."""
