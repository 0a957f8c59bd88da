"""Errors of links, for their callers."""

from __future__ import annotations

from links.wire.headers import LINK_SECRET, USER_SUB
from mesh.lib.errors import AppError


class LinkUnavailable(AppError):
    """A person's machine is required, but not available now."""

    status = 409


class LinkOffline(LinkUnavailable):
    """No process is known to hold the machine's tunnel, or the one asked does not hold it."""

    code = "link_offline"
    text = "Your machine is not connected."
    hint = "Start deco_link on it, or wake it up, then try again."


class LinkUnknown(AppError):
    """This person has no such machine; registering creates one."""

    code = "no_link"
    text = "This machine is not registered."
    hint = "Register it: POST /api/links."
    status = 404


class BadProof(AppError):
    """The same answer for a wrong, old or unknown secret: strangers learn nothing."""

    code = "unauthorized"
    text = "The link's secret is not valid."
    hint = "Register again: POST /api/links."
    status = 401


class MachineRevoked(AppError):
    """The person signed this machine out after its token was issued."""

    code = "machine_revoked"
    text = "This machine was signed out."
    hint = "Pair it again: start deco_link on it and approve it, or give it a new token."
    status = 401


class MachineInUse(AppError):
    """A copy of the machine's files is linked now; only one of the two can be this machine."""

    code = "machine_in_use"
    text = "Another machine that has this one's identity is online."
    hint = "If this one is a copy, it becomes a machine of its own within a minute."
    status = 409


class BadToken(AppError):
    code = "unauthorized"
    text = "The token is unknown or has expired."
    hint = "Create one with manage.py mesh_token --machine NAME, and start deco_link with it."
    status = 401


class FromAPage(AppError):
    code = "foreign_origin"
    text = "A page in a browser may not open a machine's tunnel."
    hint = "Start deco_link on the machine itself."
    status = 403


class TokenUnknown(AppError):
    code = "no_token"
    text = "You have no such token."
    hint = "GET /api/tokens lists them."
    status = 404


class MissingHeader(AppError):
    code = "missing_header"
    text = "The header X-Mesh-User-Sub is missing."
    hint = f"Send {USER_SUB} and {LINK_SECRET}."


class ProtocolTooOld(AppError):
    code = "upgrade_required"
    text = "This deco_link is too old for the server."
    hint = "Update it with the command in installHint, then start it again."
    status = 426
