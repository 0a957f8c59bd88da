"""Each agent sees its own variables, and no other agent's."""

import pytest

from mesh.agent_programs import is_passed

SEEN = {
    "claude": "ANTHROPIC_API_KEY CLAUDE_CONFIG_DIR AWS_PROFILE GOOGLE_APPLICATION_CREDENTIALS",
    "codex": "OPENAI_API_KEY CODEX_HOME",
    "gemini": "GEMINI_API_KEY GOOGLE_API_KEY",
    "opencode": "OPENCODE_CONFIG ANTHROPIC_API_KEY OPENAI_API_KEY GEMINI_API_KEY",
    "mesh-demo-agent": "",
    "goose": "ANTHROPIC_API_KEY OPENAI_API_KEY GEMINI_API_KEY OPENCODE_CONFIG",  # named by a person
}
UNSEEN = {
    "claude": "OPENAI_API_KEY GEMINI_API_KEY GOOGLE_API_KEY OPENCODE_CONFIG CODEX_HOME",
    "codex": "ANTHROPIC_API_KEY GEMINI_API_KEY AWS_PROFILE",
    "gemini": "ANTHROPIC_API_KEY OPENAI_API_KEY GEMINI_CLI",
    "opencode": "OPENCODE_PERMISSION CLAUDE_CODE_OAUTH_TOKEN CODEX_API_KEY",
    "mesh-demo-agent": "ANTHROPIC_API_KEY OPENAI_API_KEY",
    "goose": "OPENCODE_PERMISSION CLAUDE_CODE_SSE_PORT GITHUB_TOKEN GEMINI_api",
}


@pytest.mark.parametrize("program", SEEN)
def test_its_own_are_passed(program):
    assert all(is_passed(name, program=program) for name in SEEN[program].split())


@pytest.mark.parametrize("program", UNSEEN)
def test_others_are_not(program):
    assert not any(is_passed(name, program=program) for name in UNSEEN[program].split())
