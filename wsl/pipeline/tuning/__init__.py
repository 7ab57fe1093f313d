"""`wsl tune`: thresholds and refiners of a finished run, searched on its stored score maps. No network is run."""
