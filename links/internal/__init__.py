"""Requests between processes of one server, for a laptop whose socket another process holds."""
