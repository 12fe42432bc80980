"""What is set from outside. Nothing else reads the environment."""
