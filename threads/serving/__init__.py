"""Serving runs: finding work, following what runs, and what stands beside the requests."""
