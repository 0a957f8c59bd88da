"""Every call of git that Mesh makes is built in this package, and nowhere else.

Agents write to the folders that git works in. So none of our calls reads a repository's own
configuration, runs its hooks, or searches for a repository:

- ``calls``: the program, its environment, and the settings of every call;
- ``own``: which git directory belongs to a sandbox, recorded beside its working folder;
- ``view``: a repository seen through our own configuration;
- ``failures`` and ``errors``: what git's failures say, and the error for each kind of failure.
"""
