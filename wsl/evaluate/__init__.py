"""Scores of label maps, score maps and boxes, from arrays and files: anybody's output can be scored."""
