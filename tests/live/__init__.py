"""Promises of sessions."""
