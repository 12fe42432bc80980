"""How a browser stays logged in."""
