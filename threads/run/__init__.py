"""The life of a run: its states, what changes them, and what each change owes.

``transitions`` alone writes ``Run.state``, along the table in ``state``.
"""
