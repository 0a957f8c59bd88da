"""Decopilot's loop: it queries a model with the organization's key, and works in the sandbox.

Light to import: the model library, which takes seconds, is loaded by ``library``.
"""
