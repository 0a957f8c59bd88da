"""Each agent sees its own variables, and no other agent's."""

import pytest

from mesh.agent_programs import is_nameable, is_passed

SEEN = {
    "claude": "ANTHROPIC_API_KEY CLAUDE_CONFIG_DIR AWS_PROFILE GOOGLE_APPLICATION_CREDENTIALS",
    "codex": "OPENAI_API_KEY CODEX_HOME",
    "gemini": "GEMINI_API_KEY GOOGLE_API_KEY",
    "opencode": "OPENCODE_CONFIG ANTHROPIC_API_KEY OPENAI_API_KEY GEMINI_API_KEY",
    "mesh-demo-agent": "",
    "goose": "GOOSE_PROVIDER ANTHROPIC_API_KEY OPENAI_API_KEY DATABRICKS_HOST",  # brought along
    "/opt/tools/goose": "ANTHROPIC_API_KEY",
}
EVERY_KEY = "ANTHROPIC_API_KEY OPENAI_API_KEY GEMINI_API_KEY GITHUB_TOKEN AWS_PROFILE"
UNSEEN = {
    "claude": "OPENAI_API_KEY GEMINI_API_KEY GOOGLE_API_KEY OPENCODE_CONFIG CODEX_HOME",
    "codex": "ANTHROPIC_API_KEY GEMINI_API_KEY AWS_PROFILE",
    "gemini": "ANTHROPIC_API_KEY OPENAI_API_KEY GEMINI_CLI",
    "opencode": "OPENCODE_PERMISSION CLAUDE_CODE_OAUTH_TOKEN CODEX_API_KEY",
    "mesh-demo-agent": EVERY_KEY,
    "goose": "OPENCODE_CONFIG CLAUDE_CODE_OAUTH_TOKEN GITHUB_TOKEN NPM_TOKEN GOOSE_api",
    "auggie": EVERY_KEY,
    "program-that-nobody-knows": EVERY_KEY,
    "": EVERY_KEY,
}


@pytest.mark.parametrize("program", SEEN)
def test_its_own_are_passed(program):
    assert all(is_passed(name, command=[program]) for name in SEEN[program].split())


@pytest.mark.parametrize("program", UNSEEN)
def test_others_are_not(program):
    assert not any(is_passed(name, command=[program]) for name in UNSEEN[program].split())


def test_what_the_person_named_is_passed_and_nothing_else():
    seen = {
        name
        for name in ("MY_KEY", "OPENAI_API_KEY", "MESH_SECRET_KEY")
        if is_passed(name, command=["unknown"], named=("MY_KEY", "MESH_SECRET_KEY"))
    }

    assert seen == {"MY_KEY"}


@pytest.mark.parametrize(
    ("name", "may"),
    [
        pytest.param("MY_KEY", True, id="plain"),
        pytest.param("my_key2", True, id="small letters"),
        pytest.param("DATABRICKS_TOKEN", True, id="begins as one of ours"),
        pytest.param("MESH_SECRET_KEY", False, id="the server's"),
        pytest.param("DECOCMS_HOME", False, id="the link's"),
        pytest.param("DATABASE_URL", False, id="the database's"),
        pytest.param("2KEYS", False, id="a digit first"),
        pytest.param("MY-KEY", False, id="no name"),
        pytest.param("KEY\n", False, id="a line"),
        pytest.param("", False, id="empty"),
    ],
)
def test_which_may_be_named(name, may):
    assert is_nameable(name) == may
