"""Decopilot, the agent built into Mesh: its tools, its memory and its words, without I/O.

The loop that asks a model and works on a sandbox is ``threads.decopilot``.
"""
