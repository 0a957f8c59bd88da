"""D-CA1–5, with small programs in the place of the CLIs."""

import pytest

from links.daemon import probe
from links.daemon.config import Agent
from tests.links.daemon.conftest import is_running
from tests.waiting import until

SIGNED_IN = """echo '{"loggedIn": true, "email": "ada@mesh.example"}'"""
SIGNED_OUT = """echo '{"loggedIn": false}'; exit 1"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return ``program(name, answer)``: a shell script that the PATH finds."""
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def make(name, answer):
        path = folder / name
        version = f'if [ "$1" = --version ]; then echo "{name} 2.1.330 (x)"; exit; fi'
        path.write_text(f"#!/bin/sh\n{version}\n{answer}\n")
        path.chmod(0o755)

    return make


async def test_without_programs_only_the_base(program):  # D-CA1
    found = await probe.look()

    assert found.capabilities == ("decopilot-sandbox",)
    assert {report["state"] for report in found.harnesses.values()} == {"absent"}


async def test_claude_that_is_signed_in(program):  # D-CA2
    program("claude", SIGNED_IN)

    found = await probe.look()

    assert found.capabilities == ("decopilot-sandbox", "claude-code")
    assert found.harnesses["claude-code"] == {
        "state": "ready",
        "version": "2.1.330",
        "detail": "ada@mesh.example",
    }


async def test_codex_that_is_signed_in(program):  # D-CA3
    program("codex", "exit 0")

    assert (await probe.look()).capabilities == ("decopilot-sandbox", "codex")


OWN = """
model_provider = "mine"
[model_providers.mine]
env_key = "{key}"
"""
WITHOUT_KEY = """
model_provider = "mine"
[model_providers.mine]
requires_openai_auth = false
"""


@pytest.mark.parametrize(
    ("config", "state"),
    [
        pytest.param(OWN.format(key="OPENAI_MINE"), "ready", id="a key that is set"),
        pytest.param(OWN.format(key="OPENAI_ABSENT"), "not_signed_in", id="a key that is not"),
        pytest.param(OWN.format(key="MINE"), "not_signed_in", id="a key that Codex does not get"),
        pytest.param(WITHOUT_KEY, "ready", id="no key needed"),
        pytest.param('model_provider = "absent"', "not_signed_in", id="no such provider"),
        pytest.param("model_provider = 1\nmodel_providers = 2", "not_signed_in", id="odd"),
        pytest.param("= no TOML", "not_signed_in", id="no TOML"),
    ],
)
async def test_codex_with_a_provider_of_the_persons_own(
    program, tmp_path, monkeypatch, config, state
):
    program("codex", "exit 1")
    monkeypatch.delenv("OPENAI_ABSENT", raising=False)
    monkeypatch.setenv("OPENAI_MINE", "k")
    monkeypatch.setenv("MINE", "k")
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    (tmp_path / "config.toml").write_text(config)

    assert (await probe.look()).harnesses["codex"]["state"] == state


async def test_a_program_that_the_person_named_is_ready_where_it_is_found(program):
    program("goose", "exit 1")  # nothing is known of how it could be asked
    agents = (Agent("goose", ("goose", "acp")), Agent("other", ("absent-program",)))

    found = await probe.look(probes=probe.probes_for(agents))

    assert found.capabilities == ("decopilot-sandbox", "acp:goose")
    assert found.harnesses["acp:other"]["state"] == "absent"


async def test_both_in_their_order(program):  # D-CA4
    program("codex", "exit 0")
    program("claude", SIGNED_IN)

    found = await probe.look()

    assert found.capabilities == ("decopilot-sandbox", "claude-code", "codex")


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        pytest.param(SIGNED_OUT, "not_signed_in", id="says no"),
        pytest.param("exit 3", "not_signed_in", id="says nothing"),
        pytest.param("echo '[]'", "not_signed_in", id="says something else"),
        pytest.param("""echo '{"loggedIn": true, "authMethod": "api_key"}'""", "ready", id="key"),
    ],
)
async def test_what_claude_says(program, answer, state):
    program("claude", answer)

    assert (await probe.look()).harnesses["claude-code"]["state"] == state


async def test_a_program_that_hangs_is_killed_with_its_children(program, tmp_path):
    program("claude", f"sleep 60 & echo $! > {tmp_path}/child; wait")

    for limit in (0.5, 5, 50):  # a busy machine takes long to start it
        found = await probe.look(limit=limit)
        if (tmp_path / "child").exists():
            break

    assert found.harnesses["claude-code"]["state"] == "timed_out"
    child = int((tmp_path / "child").read_text())
    until(lambda: not is_running(child))


async def test_a_program_that_can_not_run_is_not_ready(program, tmp_path):  # D-CA5
    (tmp_path / "bin" / "claude").write_bytes(b"\x7fELF no program")
    (tmp_path / "bin" / "claude").chmod(0o755)

    assert (await probe.look()).capabilities == ("decopilot-sandbox",)


async def test_what_was_ready_is_not_asked_again_and_not_withdrawn(program):
    program("claude", SIGNED_IN)
    before = await probe.look()
    program("claude", SIGNED_OUT)
    program("codex", "exit 0")

    grown = await probe.look(before)

    assert grown.capabilities == ("decopilot-sandbox", "claude-code", "codex")
    assert grown.harnesses["claude-code"] == before.harnesses["claude-code"]


async def test_what_was_ready_is_withdrawn_when_it_is_asked_anew(program):
    program("claude", SIGNED_IN)
    before = await probe.look()
    program("claude", SIGNED_OUT)

    after = await probe.look(before, include_ready=True)

    assert after.harnesses["claude-code"]["state"] == "not_signed_in"
    assert after.capabilities == ("decopilot-sandbox",)


async def test_what_was_ready_and_gives_no_answer_now_stays_so(program):
    program("claude", SIGNED_IN)
    before = await probe.look()
    program("claude", "sleep 60")

    assert await probe.look(before, include_ready=True, limit=0.3) == before


async def test_what_was_missing_is_found_later(program):
    before = await probe.look()
    assert not probe.is_complete(before)
    program("claude", SIGNED_IN)

    assert (await probe.look(before)).capabilities == ("decopilot-sandbox", "claude-code")


async def test_a_gemini_that_nobody_signed_in_is_not_even_started(program, tmp_path):
    program("gemini", f"touch {tmp_path}/started")

    report = (await probe.look()).harnesses["acp:gemini"]

    assert (report["state"], "sign in" in report["detail"]) == ("not_signed_in", True)
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("sign", ["key", "file"])
async def test_a_gemini_that_is_signed_in(program, tmp_path, monkeypatch, sign):
    program("gemini", "exit 1")
    if sign == "key":
        monkeypatch.setenv("GEMINI_API_KEY", "k")
    else:
        (tmp_path / ".gemini").mkdir()
        (tmp_path / ".gemini" / "oauth_creds.json").write_text("{}")

    found = await probe.look()

    assert found.capabilities == ("decopilot-sandbox", "acp:gemini")
    assert found.harnesses["acp:gemini"]["version"] == "2.1.330"


SIGN_INS = [
    (
        "opencode",
        "acp:opencode",
        ".local/share/opencode/auth.json",
        '{"anthropic": {"key": "k"}}',
        "",
    ),
    ("opencode", "acp:opencode", "data/opencode/auth.json", '{"x": 1}', "XDG_DATA_HOME=data"),
    ("opencode", "acp:opencode", ".config/opencode/opencode.json", '{"provider": {"x": 1}}', ""),
    ("opencode", "acp:opencode", ".config/opencode/opencode.jsonc", '// Mine\n{"model": "m"}', ""),
    ("opencode", "acp:opencode", "o.json", '{"provider": {"x": 1}}', "OPENCODE_CONFIG=o.json"),
    ("opencode", "acp:opencode", "", "", "OPENAI_API_KEY=k"),
    ("claude-agent-acp", "acp:claude-code", ".claude/.credentials.json", "{}", ""),
    ("claude-agent-acp", "acp:claude-code", "c/.credentials.json", "{}", "CLAUDE_CONFIG_DIR=c"),
    ("claude-agent-acp", "acp:claude-code", ".claude.json", '{"oauthAccount": {"a": 1}}', ""),
    ("claude-agent-acp", "acp:claude-code", "", "", "CLAUDE_CODE_OAUTH_TOKEN=k"),
    ("claude-agent-acp", "acp:claude-code", "", "", "ANTHROPIC_API_KEY=k"),
    ("codex-acp", "acp:codex", ".codex/auth.json", "{}", ""),
    ("codex-acp", "acp:codex", "c/config.toml", 'model_provider = "x"', "CODEX_HOME=c"),
    ("codex-acp", "acp:codex", ".codex/config.toml", 'model_provider = "x"', ""),
    ("codex-acp", "acp:codex", "", "", "CODEX_API_KEY=k"),
]
NO_SIGN_INS = [
    ("opencode", "acp:opencode", ".local/share/opencode/auth.json", "{}", ""),
    ("opencode", "acp:opencode", ".config/opencode/opencode.json", '{"theme": "dark"}', ""),
    ("opencode", "acp:opencode", ".config/opencode/opencode.json", '{"provider": {}}', ""),
    ("opencode", "acp:opencode", ".config/opencode/opencode.json", "[" * 100, ""),
    ("opencode", "acp:opencode", ".config/opencode/opencode.json", '["provider"]', ""),
    ("opencode", "acp:opencode", "", "", "OPENCODE_CONFIG=nowhere.json"),
    ("opencode", "acp:opencode", "", "", ""),
    ("claude-agent-acp", "acp:claude-code", ".claude.json", '{"numStartups": 3}', ""),
    ("claude-agent-acp", "acp:claude-code", "", "", "OPENAI_API_KEY=k"),
    ("codex-acp", "acp:codex", ".codex/config.toml", 'model = "x"', ""),
    ("codex-acp", "acp:codex", ".codex/config.toml", "= no TOML", ""),
    ("codex-acp", "acp:codex", "", "", "ANTHROPIC_API_KEY=k"),
]


async def report_of(program, tmp_path, monkeypatch, name, kind, file, text, variable):
    program(name, "exit 1")
    for each in {part for case in SIGN_INS for part in (case[4].partition("=")[0],) if part}:
        monkeypatch.delenv(each, raising=False)
    if file:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    if variable:
        key, _, value = variable.partition("=")
        monkeypatch.setenv(key, value if value == "k" else str(tmp_path / value))
    return (await probe.look()).harnesses[kind]


@pytest.mark.parametrize("case", SIGN_INS, ids=lambda case: " ".join(case[1:3] + case[4:]))
async def test_a_sign_in_that_leaves_a_trace_is_found(program, tmp_path, monkeypatch, case):
    assert (await report_of(program, tmp_path, monkeypatch, *case))["state"] == "ready"


@pytest.mark.parametrize("case", NO_SIGN_INS, ids=lambda case: " ".join(case[1:]))
async def test_without_a_sign_in_it_is_not_ready_and_it_says_how(
    program, tmp_path, monkeypatch, case
):
    report = await report_of(program, tmp_path, monkeypatch, *case)

    assert (report["state"], report["detail"][:4]) == ("not_signed_in", "Run ")


async def test_claude_is_found_where_its_installer_puts_it(program, tmp_path):
    program("claude", SIGNED_IN)
    (tmp_path / ".local").mkdir()
    (tmp_path / "bin").rename(tmp_path / ".local" / "bin")

    assert "claude-code" in (await probe.look()).capabilities


async def test_no_secret_of_ours_is_shown_to_a_program(program, tmp_path, monkeypatch):
    monkeypatch.setenv("MESH_SECRET_KEY", "hidden")
    program("claude", f"env > {tmp_path}/seen; {SIGNED_IN}")

    await probe.look()

    assert "hidden" not in (tmp_path / "seen").read_text()
