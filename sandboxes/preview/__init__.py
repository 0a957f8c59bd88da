"""Previews: a sandbox's dev server on an origin of its own."""
