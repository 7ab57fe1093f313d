"""Maps and boxes against true boxes and masks: the protocols of weakly-supervised localization."""
