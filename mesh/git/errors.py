"""What git may fail of: one error for each kind, with a code and a hint of its own."""

from __future__ import annotations

from mesh.lib.errors import AppError


class GitFailed(AppError):
    """git failed; the sentence has its own telling lines. Subclasses are kinds of failure."""

    code = "checkout_failed"
    text = "The working folder could not be prepared."
    hint = "Check the folder or repository named above, then try again."


class AddressRefused(GitFailed):
    """Mesh does not give the address to git."""

    code = "git_address_refused"
    hint = "Use the https or ssh address that the server shows for cloning."


class SignInNeeded(GitFailed):
    code = "git_sign_in_needed"
    hint = (
        "Sign in on the machine that the sandbox runs on: run “git ls-remote” with the"
        " repository's address in a terminal there until it needs no password, then try again."
    )


class KeyRefused(SignInNeeded):
    """The same as ``SignInNeeded``, for ssh."""

    hint = (
        "On the machine that the sandbox runs on, check with “ssh-add -l” that your key is loaded,"
        " and with “ssh -T” and the server's name that the server accepts it, then try again."
    )


class HostUnknown(GitFailed):
    code = "git_host_unknown"
    hint = (
        "On the machine that the sandbox runs on, connect once with “ssh -T” and the server's"
        " name, compare its key with the one that the server publishes, then try again."
    )


class AccessRefused(GitFailed):
    code = "git_access_refused"
    hint = "You are signed in, but not allowed to do this. Ask the repository's owner for access."


class FilterFailed(GitFailed):
    code = "git_filter_failed"
    hint = (
        "Check that the filter's program works on the machine that the sandbox runs on. Mesh takes"
        " filters, except that of Git LFS, only from your global configuration."
    )
    status = 409


class PushRefused(GitFailed):
    code = "git_push_refused"
    hint = "Do what the server's rule asks for, or publish to another branch."
    status = 409


class BranchOutdated(GitFailed):
    code = "git_branch_outdated"
    hint = "Get the server's commits first: rebase the branch, or merge them, then try again."
    status = 409


class AddressMoved(GitFailed):
    code = "git_moved"
    hint = "Set the repository's new address: Mesh follows no redirect of a git server."


class RepositoryUnknown(GitFailed):
    code = "git_repository_not_found"
    hint = (
        "Check the address. Many servers also answer so to people without access: on the machine"
        " that the sandbox runs on, “git ls-remote” with the address shows whether you have it."
    )


class BranchUnknown(GitFailed):
    code = "git_branch_not_found"
    hint = "Check the branch's name; “git ls-remote --heads” lists those that the server has."


class ServerUnreachable(GitFailed):
    """It may pass; see ``with_retries``."""

    code = "git_network"
    hint = "Check that machine's network, its proxy or VPN, and the server's address; then retry."


class CertificateRefused(GitFailed):
    code = "git_certificate"
    hint = (
        "If the server has a certificate of your organization, tell git on that machine about its"
        " authority: git config --global http.sslCAInfo <file>."
    )


class NotAGitServer(GitFailed):
    code = "git_not_a_server"
    hint = (
        "Open the address in a browser: it may lead to a sign-in page, or to a page about the"
        " repository. Use the address that the server shows for cloning."
    )


class NoSpace(GitFailed):
    code = "git_no_space"
    hint = "Free space (or quota) on that machine's disk, then try again."


class ReadOnly(GitFailed):
    code = "git_read_only"
    hint = "Make the folder writable for the user that Mesh runs as on that machine."


class Locked(GitFailed):
    code = "git_locked"
    hint = (
        "Another git program works there: wait for it, or close it. If none is running, it crashed"
        " and left the lock: remove that file, then try again."
    )
    status = 409


class FormatUnknown(GitFailed):
    code = "git_too_old"
    hint = "Install a newer git on that machine: this repository needs it."


class Corrupt(GitFailed):
    code = "git_corrupt"
    hint = "Run “git fsck” in the repository to see what is damaged, and mend it there."
    status = 409


class BranchInUse(GitFailed):
    code = "git_branch_in_use"
    hint = "Work in that folder, or start from another branch."
    status = 409


class BranchNameBlocked(GitFailed):
    code = "git_branch_name_blocked"
    hint = "Rename the branch that has that name, or choose a branch name that doesn't start so."
    status = 409


class FilesInTheWay(GitFailed):
    code = "git_files_in_the_way"
    hint = "Commit, move or discard these files first."
    status = 409


class OwnerUnknown(GitFailed):
    code = "git_foreign_owner"
    hint = (
        "If you trust the folder, run the command above that begins with git config --global"
        " --add safe.directory in a terminal on that machine, or change the folder's owner."
    )


class IdentityMissing(GitFailed):
    code = "git_no_identity"
    hint = (
        "On that machine, run git config --global user.name “Your Name” and git config --global"
        " user.email you@example.com, then try again."
    )


class ProtocolRefused(GitFailed):
    code = "git_protocol_refused"
    hint = "Use the repository's https or ssh address."


class NoRepository(GitFailed):
    code = "git_no_repository"
    hint = "Check the folder: there is no repository, or it is damaged."
