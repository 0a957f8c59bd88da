"""A thread's journal: its rows, and the only code that writes them."""
