"""Benchmarks: numbers belong to a machine, so each prints ratios of one run. ``make bench``."""
