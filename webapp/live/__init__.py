"""What happens elsewhere, told to the pages that are open."""
