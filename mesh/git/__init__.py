"""Every call of git that Mesh makes is put together in this package, and nowhere else.

The folders that git is called for are written by agents. So no call of ours reads a
repository's own configuration, runs its hooks, or looks for a repository by itself:

- ``calls``: the program, its environment, and the settings that every call has;
- ``own``: which git directory belongs to a sandbox, remembered beside its working folder;
- ``view``: a repository seen through a configuration of ours.
"""
