"""Promises of ops."""
