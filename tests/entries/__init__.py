"""Promises of entries."""
