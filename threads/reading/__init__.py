"""Reading threads: live, and in pages."""
