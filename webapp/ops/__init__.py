"""The operator's door: health and commands."""
