"""The life of a run: its states, their transitions, and what each transition owes.

Only ``transitions`` writes ``Run.state``, by the table in ``state``.
"""
