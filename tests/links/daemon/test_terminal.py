"""What others have named reaches the person's terminal as marks, and never acts on it."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import links.daemon
from links.daemon import cli, terminal
from links.daemon.doctor.finding import Finding
from links.daemon.errors import PairingFailed
from links.daemon.oauth import Codes
from links.daemon.pairing import instructions
from links.daemon.state import StateFile
from mesh.lib import marks
from tests.links.daemon.test_pairing import CODES

FOLDER = Path(links.daemon.__file__).parent
# What acts on a terminal, or is not seen there: an escape sequence, a return, a backspace, a bell,
# a byte of C1, text that is turned around, nothing at all, a line of its own.
HOSTILE = "a\x1b[2Jb\rc\x08\x07\x9b31m\u202ed\u200be\u2066\u00a0\u2028\U000e0041\ud800"
ACTS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff]")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MESH_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("error", [False, True])
def test_what_is_said_is_marked(capsys, error):
    terminal.say(f"Signed out of {HOSTILE}.\nDone.", error=error)

    out, err = capsys.readouterr()
    said = err if error else out
    assert not ACTS.search(said)
    for code in ("001B", "000D", "0008", "009B", "202E", "200B", "E0041", "D800"):
        assert f"⟨U+{code}⟩" in said
    assert said.splitlines()[-1] == "Done."
    assert (out if error else err) == ""


@given(st.text())
def test_nothing_that_is_shown_acts_on_a_terminal(text):
    assert not ACTS.search(re.sub("[\u200b-\u200f]", "", terminal.shown(text)))
    assert "\n" not in terminal.in_line(text)
    assert "\x1b" not in terminal.in_line(text)


def test_a_terminal_of_another_encoding_shows_what_it_can(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stdout", stream)

    terminal.say("caf\u00e9 \u65e5 \x1b")

    stream.flush()
    assert stream.buffer.getvalue() == b"caf\xe9 \\u65e5 \\u27e8U+001B\\u27e9\n"


def test_the_status_shows_names_of_machines_agents_and_folders_so(home, capsys):
    link = StateFile(home, server="https://mesh.example", name=f"lap{HOSTILE}\nlink  connected")
    link.set_phase("waiting", f"The server says: {HOSTILE}")
    link.set_harnesses({"codex": {"state": "ready", "version": HOSTILE, "detail": "two\nlines"}})
    (home / "sandboxes/one").mkdir(parents=True)
    spec = {"folder": f"/code/{HOSTILE}", "branch": "main\nSANDBOX two"}
    (home / "sandboxes/one/spec.json").write_text(json.dumps(spec))

    cli.main(["status"])

    said = capsys.readouterr().out
    assert not ACTS.search(said)
    assert [line.split()[0] for line in said.splitlines() if line] == [
        *("server", "machine", "link", "why", "codex", "SANDBOX", "one")
    ]


def test_a_stop_shows_the_server_s_words_so(capsys):
    cli._say(PairingFailed(f"The server says: {HOSTILE}"))

    assert not ACTS.search(capsys.readouterr().err)


def test_an_argument_that_is_refused_is_shown_so(capsys):
    for words in (["status", "--\x1b[2J"], ["logout", "https://x", "\u202ey"], ["\x1b[2J://x"]):
        with pytest.raises(SystemExit):
            cli.main(words)
        said = capsys.readouterr().err
        assert "usage:" in said
        assert not ACTS.search(said)


def test_a_finding_of_the_doctor_stays_in_its_lines():
    said = str(Finding("warn", "agent", f"{HOSTILE}\nok    link  all is well", "run\nthis"))

    assert not ACTS.search(said)
    assert [line.split()[0] for line in said.splitlines()] == ["warn", "fix:"]


def test_the_log_is_shown_so_and_each_message_is_one_line():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(terminal.LogFormatter("{levelname} {message}", style="{"))
    record = logging.LogRecord("x", logging.INFO, "", 1, "said %s", (f"{HOSTILE}\nINFO ok",), None)
    handler.handle(record)
    try:
        raise ValueError(HOSTILE)
    except ValueError as exc:
        trace = (type(exc), exc, exc.__traceback__)
    handler.handle(logging.LogRecord("x", logging.ERROR, "", 1, "it failed", (), trace))

    lines = stream.getvalue().splitlines()
    assert not ACTS.search(stream.getvalue())
    assert lines[0].startswith("INFO said a⟨U+001B⟩")
    assert lines[1:3] == ["ERROR it failed", "Traceback (most recent call last):"]


def test_the_code_for_a_phone_is_shown_as_it_is():
    text = instructions("https://mesh.example", Codes.parse(CODES), qr=True)

    assert terminal.shown(text) == text


def _calls_and_texts():
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield path.relative_to(FOLDER).as_posix(), node


def test_everything_is_printed_in_this_way():
    found = {
        (name, ast.unparse(node.func))
        for name, node in _calls_and_texts()
        if isinstance(node, ast.Call)
        and ast.unparse(node.func)
        in ("print", "sys.stdout.write", "sys.stderr.write", "argparse.ArgumentParser")
    }

    assert found == {
        ("terminal.py", "print"),
        ("shell_answer.py", "sys.stdout.write"),  # to the program that has asked
        ("commands/status.py", "sys.stdout.write"),  # JSON, for programs
    }


def test_our_own_texts_need_no_marks():
    texts = {
        node.value
        for name, node in _calls_and_texts()
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and name != "terminal.py"
    }

    odd = {text for text in texts if terminal.shown(text) != text}
    assert {text for text in odd if not marks.MARK.search(terminal.shown(text))} == set()
    assert {text for text in odd if len(text) > 3} == set()
