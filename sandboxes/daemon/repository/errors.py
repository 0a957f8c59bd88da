"""What the routes of the repository refuse."""

from __future__ import annotations

from mesh.lib.errors import AppError


class MessageNeeded(AppError):
    code = "message_needed"
    text = "There are changes that are not committed."
    hint = "Enter a commit message."


class DefaultBranch(AppError):
    code = "default_branch"
    text = "The work is on a shared branch."
    hint = "Switch to a branch of its own first."
    status = 409


class NothingToPublish(AppError):
    code = "nothing_to_publish"
    text = "There is no branch, no commit, or no remote to publish to."
    hint = "Commit something on a branch of a cloned repository."
    status = 409


class ChangedBefore(AppError):
    """Only what the agent changed is discarded; the person's own edits never are."""

    code = "changed_before"
    text = "The file had changes of your own before the agent came."
    hint = "Discard them in your own editor or terminal."
    status = 409


class Diverged(AppError):
    code = "diverged"
    text = "The published branch has commits that this one lacks: it was rebased, or is shared."
    hint = "Publish with “replace” to overwrite the published commits."
    status = 409


class OthersCommits(AppError):
    code = "others_commits"
    text = "The published branch has commits that this branch never had: somebody else's."
    hint = "Rebase the work on them, or publish it from a branch with another name."
    status = 409


class NestedRepository(AppError):
    code = "nested_repository"
    text = "The folder contains repositories of their own; their files are not part of this one."
    hint = "Publish with “nested”: “include” adds their files as plain files, “leave” does not."
    status = 409


class Unmerged(AppError):
    code = "unmerged_paths"
    text = "Some files have conflicts that nobody has resolved."
    hint = "Ask the agent to resolve the conflicts in these files, and publish again."
    status = 409


class HookRefused(AppError):
    code = "hook_refused"
    text = "A hook refused."
    hint = "Fix what it says, or publish with “skipHooks”."
    status = 409


class SigningFailed(AppError):
    code = "signing_failed"
    text = "The commit could not be signed without a prompt."
    hint = "Unlock the key, for example by signing in a terminal; or publish with “unsigned”."
    status = 409


class LfsMissing(AppError):
    code = "lfs_missing"
    text = "Files of Git LFS changed, but git-lfs is not installed on this machine."
    hint = "Install git-lfs, then publish again."
    status = 409


class SubmoduleUnpublished(AppError):
    code = "submodule_unpublished"
    text = "A submodule has commits that its own server lacks, so nobody else could get this work."
    hint = "Push them first: ask the agent, or use the shell in the submodule's folder."
    status = 409


class NothingToRebase(AppError):
    code = "nothing_to_rebase"
    text = "There is no branch, no commit, or no remote to rebase on."
    hint = "Rebase a branch of its own in a cloned repository."
    status = 409


class UncommittedChanges(AppError):
    code = "uncommitted_changes"
    text = "There are changes that are not committed."
    hint = "Commit or discard them first."
    status = 409


class UnknownBase(AppError):
    code = "unknown_base"
    text = "The repository's server has no such branch."
    hint = "Name a branch that exists on the server, such as “main”."


class Conflicts(AppError):
    code = "conflicts"
    text = "The work and the base changed the same lines, so nothing was rebased."
    hint = "Ask the agent to rebase and to resolve the conflicts in these files."
    status = 409


class UnderWay(AppError):
    code = "rebase_under_way"
    text = "A rebase, merge or cherry-pick is in progress."
    hint = "Finish it in the shell, or use “abort” to return the branch to its earlier state."
    status = 409


class InTheWay(AppError):
    code = "in_the_way"
    text = "A file is in the place of one that would be restored, so nothing was discarded."
    hint = "Discard both, or move the file that is in the way."
    status = 409


class CopyNotKept(AppError):
    code = "copy_not_kept"
    text = "No copy of the changes could be kept, so nothing was discarded."
    hint = "Free space on that machine, and check who owns the files; then try again."
    status = 507


class TooManyChanges(AppError):
    code = "too_many_changes"
    text = "More files have changed than can be told apart."
    hint = "Let git ignore files that programs make, or commit the others."
    status = 409


class NotUnderWay(AppError):
    code = "no_rebase"
    text = "No rebase is in progress."
    hint = "Nothing to do."
    status = 409
