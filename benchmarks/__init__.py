"""Holdfast beside its peers, timed in one run: `bin/bench`."""
