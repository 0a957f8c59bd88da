"""Which kind of sandbox a run gets: S83–S91."""

import itertools

import pytest

from sandboxes.core.kinds import KINDS, KindFacts, NoLink, choose_kind

LINK = {"is_link_online": True}


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        pytest.param({**LINK, "recorded": "agent-sandbox"}, "agent-sandbox", id="S83"),
        pytest.param(LINK, "remote-user", id="S84"),
        pytest.param({"explicit": "docker", "recorded": "remote-user"}, "docker", id="S85"),
        pytest.param({}, "docker", id="S86"),
        pytest.param(
            {**LINK, "hint": "remote-user", "recorded": "docker"}, "remote-user", id="hint"
        ),
        pytest.param(
            {"hint": "remote-user", "recorded": "agent-sandbox"},
            "agent-sandbox",
            id="hint without its link",
        ),
        pytest.param(
            {**LINK, "hint": "default", "recorded": "agent-sandbox"}, "docker", id="hint default"
        ),
        pytest.param(
            {**LINK, "hint": "default", "explicit": "remote-user"},
            "remote-user",
            id="explicit beats a hint",
        ),
        pytest.param(LINK, "remote-user", id="S90"),
        pytest.param({}, "docker", id="S91"),
    ],
)
def test_precedence(facts, kind):
    assert choose_kind(KindFacts(default="docker", **facts)) == kind


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"recorded": "remote-user", "default": "docker"}, id="S89"),
        pytest.param({"explicit": "remote-user", "default": "docker"}, id="explicit"),
        pytest.param({"default": "remote-user"}, id="default"),
    ],
)
def test_without_a_link_nothing_else_stands_in_for_the_machine(facts):
    assert choose_kind(KindFacts(**facts)) == "remote-user"


def test_a_machine_that_is_away_is_refused_with_what_to_do():
    refusal = NoLink()

    assert str(refusal).startswith("No link daemon registered")
    assert (refusal.code, refusal.status) == ("link_offline", 409)
    assert "deco link" in refusal.hint


@pytest.mark.parametrize(
    ("explicit", "hint", "recorded", "online", "default"),
    list(
        itertools.product(
            ["", *KINDS], ["", "remote-user", "default"], ["", *KINDS], [True, False], KINDS
        )
    ),
)
def test_what_was_named_or_recorded_is_never_swapped(explicit, hint, recorded, online, default):
    kind = choose_kind(
        KindFacts(
            explicit=explicit, hint=hint, recorded=recorded, is_link_online=online, default=default
        )
    )

    assert kind == explicit if explicit else kind in {recorded, default, "remote-user"}
    if not explicit and recorded and not hint:
        assert kind == recorded
