"""Decopilot, the agent built into Mesh: its tools, history and error texts, without I/O.

The loop that queries a model and works in a sandbox is ``threads.decopilot``.
"""
