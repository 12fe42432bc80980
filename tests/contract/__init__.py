"""Promises of contract."""
