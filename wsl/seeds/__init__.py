"""Score maps to label maps and seeds: background rule, label rule."""
