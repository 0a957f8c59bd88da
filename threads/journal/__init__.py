"""A thread's journal: its rows, and the only way into them."""
