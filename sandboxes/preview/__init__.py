"""Previews: what a sandbox's dev server shows, on an origin of its own."""
