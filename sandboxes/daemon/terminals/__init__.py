"""Shells of a person in the sandbox's folder, each with a terminal of its own."""
