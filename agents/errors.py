"""Errors about agents."""

from __future__ import annotations

from mesh.lib.errors import AppError


class BadTitle(AppError):
    code = "bad_title"
    text = "An agent needs a name of at most 120 characters, on one line."
    hint = "Give it a short name."


class BadIcon(AppError):
    code = "bad_icon"
    text = "There is no such icon."
    hint = "Choose one of the icons on the page, or none."


class BadChoice(AppError):
    code = "bad_choice"
    text = "There is no such agent program or tier."
    hint = "Give a program and a tier, such as claude-code:smart, or leave it empty."


class AgentIsDefault(AppError):
    code = "agent_is_default"
    text = "This agent answers when no other is named, so it can't be removed."
    hint = "Change it instead."
    status = 409
