"""A person's journey in a real browser, and what tools say of each page on the way."""
