"""Random walks over a whole Mesh in real processes: ``make chaos ARGS="minutes seed"``.

Not part of ``make test``, except for the pure schedule.
"""
