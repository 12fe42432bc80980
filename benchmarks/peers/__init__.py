"""The same application as others would build it."""
