"""Who the user is."""
