from __future__ import annotations

import pytest

from agents.harness.acp import permissions
from tests.harness.driver import turn

READONLY = {"toolApprovalLevel": "readonly"}
PLAN = {"mode": "plan"}


@pytest.mark.parametrize(
    ("changes", "kind", "decision"),
    [
        ({}, "execute", "allow"),
        ({}, "", "allow"),
        (READONLY, "execute", "ask"),
        (READONLY, "edit", "ask"),
        (READONLY, "fetch", "ask"),
        (READONLY, "", "ask"),
        (READONLY, "read", "allow"),
        ({"toolApprovalLevel": "of next year"}, "edit", "ask"),
        (PLAN, "read", "allow"),
        (PLAN, "edit", "deny"),
        (PLAN, "execute", "deny"),
        (PLAN, "switch_mode", "deny"),
        (PLAN | READONLY, "", "deny"),
    ],
)
def test_what_is_allowed_by_level_and_mode(changes, kind, decision):
    assert permissions.decide(turn("hi", **changes), kind) == decision


ALL = ["allow_always", "allow_once", "reject_always", "reject_once"]


@pytest.mark.parametrize(
    ("kinds", "is_allowed", "chosen"),
    [
        (ALL, True, "allow_once"),
        (ALL, False, "reject_once"),
        (["allow_always"], True, "allow_always"),
        (["reject_always"], False, "reject_always"),
        (["reject_once"], True, None),
        ([], False, None),
    ],
)
def test_the_answer_is_for_once_if_there_is_such_an_option(kinds, is_allowed, chosen):
    options = [{"kind": kind, "optionId": f"id of {kind}"} for kind in kinds]
    question = permissions.read(1, {"options": options}, "call")

    outcome = permissions.reply(question, is_allowed=is_allowed)["outcome"]

    assert outcome.get("optionId") == (f"id of {chosen}" if chosen else None)
    assert outcome["outcome"] == ("selected" if chosen else "cancelled")
