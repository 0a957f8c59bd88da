"""Decopilot's loop: it asks a model with the organization's key, and works on the sandbox.

Light to import: the model library, which takes seconds, is loaded by ``library``.
"""
