"""Scores of results on disk: finds out what the files are and pairs them with the truth."""
