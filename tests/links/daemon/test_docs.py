"""docs/link.md says what the program does: its options, exit codes and checks."""

import argparse
import ast
import re
from importlib import import_module

import pytest

from links.daemon import cli, errors
from links.daemon.commands import COMMANDS
from links.daemon.errors import Stop
from mesh.develop import ROOT

PAGE = (ROOT / "docs" / "link.md").read_text()
MODULES = {"deco_link": cli} | {
    f"deco_link {name}": import_module(module) for name, module in COMMANDS.items()
}


def codes_of(module):
    """The sentence of the module's first lines: "0 done; 1 …"."""
    text = " ".join(module.__doc__.split())
    return re.search(r"Exit codes: (.*?)\.(?: |$)", text)[1]


@pytest.mark.parametrize("command", MODULES)
def test_the_exit_codes_are_those_of_the_code(command):
    assert f"- `{command}`: {codes_of(MODULES[command])}.\n" in PAGE


def reasons(kind=Stop):
    for found in kind.__subclasses__():
        yield found
        yield from reasons(found)


@pytest.mark.parametrize("why", list(reasons()), ids=lambda why: why.__name__)
def test_whatever_ends_the_program_has_a_documented_code(why):
    assert f"{why.exit_code} " in codes_of(cli)
    assert why.__module__ == errors.__name__


def options():
    parser = argparse.ArgumentParser(add_help=False)
    cli.add_arguments(parser)
    return [name for action in parser._actions for name in action.option_strings]


def test_every_option_is_documented_and_no_other():
    told = re.findall(r"^\| `(--[a-z-]+)", PAGE, re.MULTILINE)

    assert sorted(told) == sorted(options())


def checks():
    """The names of the doctor's lines, as its source has them."""
    for path in (ROOT / "links" / "daemon" / "doctor").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding"
            if called and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
                yield node.args[1].value


def test_every_check_of_the_doctor_is_documented_and_no_other():
    table = PAGE.partition("| Line | Says |")[2].partition("\n\n")[0]
    told = re.findall(r"^\| ([\w-]+)", table, re.MULTILINE)

    assert {"DNS", "TLS", "proxy", "clock", "WebSocket", "streams", "disk", "versions"} <= {*told}
    assert {*told} - {"claude-code"} == {*checks()}
