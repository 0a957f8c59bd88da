"""S34–S36, and each message against its golden file."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from links.wire.errors import BadMessage
from links.wire.messages import (
    MOST_CAPABILITIES,
    MachineStatus,
    Registered,
    Registration,
    needed_for,
    parse_capabilities,
    parse_harnesses,
)

GOLDEN = Path(__file__).with_name("golden")
MINIMAL = {
    "machineId": "m1",
    "cliVersion": "1.0.0",
    "protocolVersion": 1,
    "capabilities": ["claude-code"],
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("registration", Registration), ("registered", Registered), ("machine_status", MachineStatus)],
)
def test_golden(name, kind):
    value = json.loads((GOLDEN / f"{name}.json").read_text())

    assert kind.parse(value).as_json() == value


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"machineId": ""}, id="empty machine id"),
        pytest.param({"machineId": None}, id="no machine id"),
        pytest.param({"machineId": "x" * 65}, id="long machine id"),
        pytest.param({"machineId": "a\x00"}, id="machine id with a NUL"),
        pytest.param({"cliVersion": 1}, id="version is a number"),
        pytest.param({"protocolVersion": "1"}, id="protocol is a text"),
        pytest.param({"protocolVersion": True}, id="protocol is a truth"),
        pytest.param({"protocolVersion": -1}, id="protocol is negative"),
        pytest.param({"capabilities": []}, id="no capability"),
        pytest.param({"capabilities": "claude-code"}, id="capabilities are a text"),
        pytest.param({"hostname": 7}, id="host name is a number"),
        pytest.param({"tunnelUrl": "h" * 201}, id="long address"),
    ],
)
def test_a_registration_is_refused(wrong):
    with pytest.raises(BadMessage):
        Registration.parse({**MINIMAL, **wrong})


def test_unknown_fields_and_capabilities_are_passed_over():  # S35, tolerant
    given_names = ["not-a-harness", "codex", 7, "codex", "claude-code"]

    parsed = Registration.parse({**MINIMAL, "capabilities": given_names, "new": 1})

    assert parsed.capabilities == ("codex", "claude-code")


def test_all_known_capabilities_are_taken():  # S34, S36
    names = ["claude-code", "codex", "decopilot-sandbox", "body-offload"]

    assert list(parse_capabilities(names)) == names


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("acp:goose", True),
        ("acp:my-own-2", True),
        ("acp:", False),
        ("acp:Goose", False),
        ("acp:-a", False),
        ("acp:a\n", False),
        ("acp:" + "a" * 32, True),
        ("acp:" + "a" * 33, False),
    ],
)
def test_a_program_that_speaks_acp_has_a_name_of_its_own(name, kept):
    assert parse_capabilities([name]) == ((name,) if kept else ())
    assert needed_for(name) == (name if kept else None)


def test_capabilities_have_a_limit():
    names = [f"acp:a{n}" for n in range(100)]

    assert len(parse_capabilities(names)) == MOST_CAPABILITIES


@pytest.mark.parametrize(
    ("harness", "needed"),
    [("claude-code", "claude-code"), ("decopilot", "decopilot-sandbox"), ("demo", None)],
)
def test_what_a_harness_needs(harness, needed):
    assert needed_for(harness) == needed


def test_an_answer_without_a_secret_is_no_answer():
    with pytest.raises(BadMessage, match="missing linkSecret"):
        Registered.parse({"linkId": "x"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_no_status_is_too_odd(value):
    MachineStatus.parse({"capabilities": value, "harnesses": value})


@given(st.dictionaries(st.sampled_from([*MINIMAL, "hostname", "harnesses"]), JSON))
def test_a_registration_is_parsed_or_refused(value):
    with suppress(BadMessage):
        Registration.parse(value)


def test_findings_have_a_size():
    report = {"state": "ready", "detail": "x" * 1000}

    found = parse_harnesses({f"h{n}": report for n in range(100)})

    assert len(found) == 32
    assert len(found["h0"]["detail"]) == 300


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        pytest.param("plan auto plan", {"levels": "auto plan"}, id="in our order, once"),
        pytest.param("auto root", {"levels": "auto"}, id="a level that there is not"),
        pytest.param("root", {}, id="none of ours"),
        pytest.param("", {}, id="nothing"),
        pytest.param(["auto"], {}, id="a list"),
        pytest.param(None, {}, id="null"),
    ],
)
def test_what_an_agent_says_of_its_levels(said, kept):
    report = {"state": "ready", "version": "1", "detail": ""}

    assert parse_harnesses({"acp:mine": report | {"levels": said}}) == {"acp:mine": report | kept}
