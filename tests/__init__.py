"""Tests, as promises: they mirror webapp/."""
