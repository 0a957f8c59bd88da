"""Serving runs: finding work, following runs, and the background tasks of a server process."""
