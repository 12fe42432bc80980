"""Where each kind of state is, whether it lasts, and how it gets elsewhere."""
