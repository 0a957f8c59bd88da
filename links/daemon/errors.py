"""Errors of the link program: refused requests, and reasons to stop."""

from __future__ import annotations

from typing import ClassVar

from mesh.lib import errors
from mesh.lib.errors import AppError


class InvalidJson(AppError):
    code = "invalid_json"
    text = "The body is not a JSON object."
    hint = "Send an object, with Content-Type: application/json."


class MissingHandle(AppError):
    code = "missing_handle"
    text = "The sandbox's handle is missing."
    hint = 'Send it as a string: {"handle": …}.'


class BadHandle(AppError):
    code = "bad_handle"
    text = "A handle has 1 to 63 characters: a-z, 0-9 and dashes inside."
    hint = "Use the handle that the server generated."


class BadSpec(AppError):
    code = "bad_spec"
    text = "The folder, repository or branch is malformed."
    hint = "Send strings; a repository is an object {cloneUrl, branch?}."


class FolderNotAllowed(AppError):
    code = "folder_not_allowed"
    text = "This folder is not allowed on this machine."
    hint = "Restart deco_link with --allow and this folder, or a parent folder."


class NotFound(errors.NotFound):
    text = "This machine has no such route."
    hint = "Update the server or deco_link."


class UnknownHandle(AppError):
    code = "unknown_handle"
    text = "This machine has no such sandbox."
    hint = "Create it first: POST /api/sandboxes."
    status = 404


class SandboxDown(AppError):
    code = "sandbox_down"
    text = "The sandbox is not running."
    hint = "Start it again: POST /api/sandboxes."
    status = 502


class SandboxBusy(AppError):
    code = "sandbox_busy"
    text = "An agent is working in the sandbox."
    hint = "Stop the run first, or delete with ?force=1."
    status = 409


class UnsavedWork(AppError):
    code = "unsaved_work"
    text = "The sandbox contains work that exists nowhere else."
    hint = "Commit and push it, or remove the sandbox with ?force=1."
    status = 409


class AlreadyThere(AppError):
    code = "already_there"
    text = "A newer sandbox has this handle."
    hint = "Remove the newer sandbox first."
    status = 409


class SandboxFailed(AppError):
    code = "sandbox_failed"
    text = "The sandbox did not start."
    hint = "Read the last lines of its log; the whole log is sandbox.log in its folder."
    status = 500


class TooManySandboxes(AppError):
    code = "too_many_sandboxes"
    text = "All sandboxes on this machine are busy."
    hint = "Stop a run, then try again."
    status = 503


class RetryLater(Exception):
    """The connection was lost or failed; the text says why. The link reconnects."""


class Stop(AppError):
    """The program must stop; ``links.daemon.cli`` documents ``exit_code``."""

    exit_code: ClassVar[int] = 1


class NoToken(Stop):
    code = "no_token"
    text = "No token was found."
    hint = (
        "Create one on the server with manage.py mesh_token --machine NAME, and pass --token-file."
    )
    exit_code = 2


class SignedOut(Stop):
    code = "unauthorized"
    text = "The server does not accept the token."
    hint = "Create a new one with manage.py mesh_token, and write it to the token file."
    exit_code = 3


class PairAgain(Stop):
    """The server confirmed that this machine's sign-in has ended."""

    code = "signed_out"
    text = "This machine was signed out."
    exit_code = 3

    def __init__(self, server: str, command: str) -> None:
        super().__init__(f"This machine was signed out of {server}.")
        self.hint = f"Link it again: {command}"  # type: ignore[misc]


class PairingFailed(Stop):
    code = "pairing_failed"
    text = "The machine could not be linked."
    hint = "Check the address of the server, then start deco_link again."
    exit_code = 2


class PairingDenied(Stop):
    code = "pairing_denied"
    text = "The request was denied in the browser."
    hint = "If that was a mistake, start deco_link again and approve the new code."
    exit_code = 3


class CodeExpired(Stop):
    code = "code_expired"
    text = "Nobody approved the code in time."
    hint = "Start deco_link again; it shows a new code."
    exit_code = 2


class TooOld(Stop):
    code = "upgrade_required"
    text = "This deco_link is too old for the server."
    hint = "Open the server in a browser: “Connect your desktop” shows the matching command."
    exit_code = 4

    def __init__(self, text: str = "", *, command: str = "") -> None:
        super().__init__(text)
        self.command = command
        if command:
            self.hint = f"Start the matching version: {command}"  # type: ignore[misc]


class Superseded(Stop):
    code = "superseded"
    text = "Another deco_link took over this machine's link."
    hint = "Only one can run per machine; stop the other one to use this one."
    exit_code = 5


class MachineCopied(Stop):
    code = "machine_in_use"
    text = "This machine's files are a copy of a machine that is online, and so is its sign-in."
    exit_code = 5

    def __init__(self, command: str) -> None:
        """``command`` links this machine; empty if somebody else writes its token."""
        super().__init__()
        way = f"link it: {command}" if command else "give it a token of its own"
        self.hint = f"It is a machine of its own now; {way}."  # type: ignore[misc]


class PortTaken(Stop):
    code = "port_taken"
    text = "The port is in use."
    hint = "Choose another with --port."
    exit_code = 2


class AddressNotHonoured(Stop):
    code = "address_not_honoured"
    text = "The server does not allow machines at this address."
    hint = (
        "Leave out --no-tunnel and --tunnel-url, or ask the server's operator to allow the address"
        " with MESH_ALLOW_LOCALHOST_LINKS=1 or MESH_LINK_HOSTS."
    )
    exit_code = 2


class NoSession(Stop):
    code = "no_session"
    text = "[dev-link] There is no local session."
    hint = "Start the server on this machine: MESH_ALLOW_LOCALHOST_LINKS=1 make run"
    exit_code = 2
