"""Who may have terminals in an organization."""

from __future__ import annotations

from mesh.lib.errors import AppError
from mesh.models import Organization, TerminalUse


class UnknownTerminalUse(AppError):
    code = "unknown_terminal_use"
    text = "There is no such choice."
    hint = "Choose one of the list."


def choose_terminals(*, organization: Organization, use: str) -> TerminalUse:
    """Let ``use`` say who may have terminals; the caller has checked who chooses.

    Raises:
        UnknownTerminalUse: it is none of the choices.
    """
    if use not in TerminalUse.values:
        raise UnknownTerminalUse
    Organization.objects.filter(pk=organization.pk).update(terminals=use)
    return TerminalUse(use)
