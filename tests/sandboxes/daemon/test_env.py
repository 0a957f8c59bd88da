from __future__ import annotations

import pytest

from sandboxes.daemon.env import child_env, is_allowed, tool_env

ALLOWED = """
PATH HOME USER LANG LC_ALL TERM TMPDIR SHELL SSH_AUTH_SOCK XDG_CONFIG_HOME HTTPS_PROXY no_proxy
SSL_CERT_FILE
"""
KEPT_BACK = """
MESH_HOME MESH_SECRET_KEY DATABASE_URL REDIS_URL DJANGO_SETTINGS_MODULE AWS_SECRET_ACCESS_KEY
GITHUB_TOKEN PYTHONPATH LD_PRELOAD VIRTUAL_ENV PATHX XPATH path
CLAUDECODE CLAUDE_CODE_ENTRYPOINT CLAUDE_CODE_SSE_PORT CLAUDE_CODE_SESSION_ID
CODEX_SANDBOX CODEX_SANDBOX_NETWORK_DISABLED CODEX_THREAD_ID GEMINI_CLI OPENCODE_PERMISSION
ANTHROPIC_API_KEY CODEX_API_KEY OPENAI_API_KEY GEMINI_API_KEY GOOGLE_API_KEY CLAUDE_CONFIG_DIR
"""


@pytest.mark.parametrize("name", ALLOWED.split())
def test_what_the_person_s_tools_need_passes(name):
    assert is_allowed(name)


@pytest.mark.parametrize("name", KEPT_BACK.split())
def test_everything_else_stays(name):
    assert not is_allowed(name)


def test_an_agent_sees_its_own_key_and_what_was_named_for_it():
    parent = {"PATH": "/bin", "ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k", "MY_KEY": "k"}

    assert child_env(parent, {}, command=["claude"]).keys() == {"PATH", "ANTHROPIC_API_KEY"}
    assert child_env(parent, {}, command=["other"], named=["MY_KEY"]).keys() == {"PATH", "MY_KEY"}


def test_additions_win():
    assert child_env({"PATH": "/bin", "TOKEN": "x"}, {"PATH": "/opt", "NEW": "1"}) == {
        "PATH": "/opt",
        "NEW": "1",
    }


def test_what_runs_for_a_project_sees_no_agent_s_keys():
    parent = {"PATH": "/bin", "ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k", "AWS_PROFILE": "p"}

    assert tool_env(parent, {"PORT": "1"}) == {"PATH": "/bin", "PORT": "1"}


@pytest.mark.parametrize("make", [child_env, tool_env])
def test_no_program_is_found_in_the_folder_where_it_is_started(make):
    assert make({"PATH": ".:/usr/bin::bin:/bin"}, {})["PATH"] == "/usr/bin:/bin"
