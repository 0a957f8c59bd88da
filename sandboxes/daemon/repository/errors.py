"""What the routes of the repository refuse."""

from __future__ import annotations

from mesh.lib.errors import AppError


class MessageNeeded(AppError):
    code = "message_needed"
    text = "There are changes that are not committed."
    hint = "Give a message for the commit."


class DefaultBranch(AppError):
    code = "default_branch"
    text = "The work is on a branch that others build on."
    hint = "Go to a branch of its own first."
    status = 409


class NothingToPublish(AppError):
    code = "nothing_to_publish"
    text = "There is no branch, no commit, or no remote to publish to."
    hint = "Commit something, on a branch of a repository that was cloned."
    status = 409


class Diverged(AppError):
    code = "diverged"
    text = "The published branch has commits that this one has not: it was rebased, or is shared."
    hint = "Publish with “replace” if what was published is to be given up for this."
    status = 409


class NothingToRebase(AppError):
    code = "nothing_to_rebase"
    text = "There is no branch, no commit, or no remote to rebase on."
    hint = "Rebase a branch of its own, of a repository that was cloned."
    status = 409


class UncommittedChanges(AppError):
    code = "uncommitted_changes"
    text = "There are changes that are not committed."
    hint = "Commit or discard them first."
    status = 409


class UnknownBase(AppError):
    code = "unknown_base"
    text = "The repository's server has no such branch."
    hint = "Name a branch as the server knows it, such as “main”."


class Conflicts(AppError):
    code = "conflicts"
    text = "The work and the base have changed the same lines. Nothing was changed."
    hint = "Ask the agent to rebase and to resolve the conflicts in these files."
    status = 409


class UnderWay(AppError):
    code = "rebase_under_way"
    text = "Somebody has begun to rebase, merge or pick, and it is not over."
    hint = "End it in the shell, or ask for “abort”: the branch is then as it was before."
    status = 409


class NotUnderWay(AppError):
    code = "no_rebase"
    text = "No rebase is under way."
    hint = "Nothing is to be done."
    status = 409
