"""Score maps to boxes: threshold, connected components, boxes."""
