"""How sure is a score? Intervals over images, paired tests of two runs, spread over seeds, from per-image tables."""
