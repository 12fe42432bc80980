"""Promises of state."""
