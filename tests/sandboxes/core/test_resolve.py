from __future__ import annotations

import pytest

from links.errors import LinkUnavailable
from sandboxes.core.resolve import LinkFacts, Target, resolve_target

ALL = LinkFacts(["claude-code", "codex", "decopilot-sandbox"], machine="ada's laptop")
BARE = LinkFacts(["decopilot-sandbox"], machine="ada's laptop")
NOTHING = LinkFacts([])
GOOSE = LinkFacts(["decopilot-sandbox", "acp:goose"])

IN_SERVER = Target("local", "default")
TOOLS_ON_LAPTOP = Target("local", "desktop")
ON_LAPTOP = Target("remote-cli", "desktop")


@pytest.mark.parametrize(
    ("kind", "harness", "link", "target"),
    [
        pytest.param("docker", "claude-code", None, IN_SERVER, id="S42"),
        pytest.param("remote-user", "decopilot", ALL, TOOLS_ON_LAPTOP, id="S43"),
        pytest.param("remote-user", "claude-code", ALL, ON_LAPTOP, id="S44"),
        pytest.param("remote-user", "codex", ALL, ON_LAPTOP, id="S45"),
        pytest.param("remote-user", "acp:goose", GOOSE, ON_LAPTOP, id="whatever speaks ACP"),
        pytest.param("remote-user", "demo", NOTHING, ON_LAPTOP, id="the demo needs nothing"),
        pytest.param("agent-sandbox", "codex", BARE, IN_SERVER, id="the link is not looked at"),
    ],
)
def test_where_a_run_goes(kind, harness, link, target):
    assert resolve_target(kind=kind, harness_id=harness, link=link) == target


@pytest.mark.parametrize(
    ("harness", "link", "code", "extra"),
    [
        pytest.param("claude-code", None, "link_offline", {}, id="S46"),
        pytest.param("demo", None, "link_offline", {}, id="S46 the demo too"),
        pytest.param(
            "claude-code",
            BARE,
            "capability_missing",
            {"activeCapabilities": ["decopilot-sandbox"], "machine": "ada's laptop"},
            id="S47",
        ),
        pytest.param(
            "acp:gemini",
            GOOSE,
            "capability_missing",
            {"activeCapabilities": ["decopilot-sandbox", "acp:goose"]},
            id="another that speaks ACP",
        ),
        pytest.param(
            "decopilot", NOTHING, "capability_missing", {"activeCapabilities": []}, id="decopilot"
        ),
    ],
)
def test_why_it_goes_nowhere(harness, link, code, extra):
    with pytest.raises(LinkUnavailable) as refused:
        resolve_target(kind="remote-user", harness_id=harness, link=link)

    body = refused.value.body()["error"]
    assert refused.value.status == 409
    assert {"code": code, **extra}.items() <= body.items()
    assert body["message"]
    assert body["hint"]
