"""The table of agents' programs, read from ``catalog.toml`` and checked when it is first used."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, get_args

PATH: Final = Path(__file__).with_name("catalog.toml")
POLICIES: Final = PATH.with_name("policies")
# Where npm and Homebrew install programs. A link that was not started from a terminal may not have
# these folders, nor those of a program's own installer, on its PATH.
SHARED: Final = ("/usr/local/bin", "/opt/homebrew/bin")

Judge = Literal["codex", "exit_code", "logged_in", "starts"]
Usage = Literal["session", "turn"]
WaitsIn = Literal["session", "message"]
Level = Literal["plan", "readonly", "auto"]
OwnQuestions = Literal["", "all", "built_in", "once"]

_KIND: Final = re.compile(r"(acp:)?[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
# No agent may see our variables; and the part before a "*" has to name the agent.
VARIABLE: Final = re.compile(
    r"(?!MESH|DJANGO|DECO|DATABASE|REDIS)[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)*(?:_?\*)?", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How a program is asked whether it is ready, and what must exist before it is asked.

    ``signed_in_files`` are paths below the home, or below the folder in ``home_variable``.
    ``signed_in_settings`` are JSON or TOML files, by path, with the keys of which one has to be
    there; without keys, any. A path may begin with a variable that names a file or folder.
    """

    ask: tuple[str, ...]
    judge: Judge
    signed_in_variables: tuple[str, ...] = ()
    signed_in_files: tuple[str, ...] = ()
    signed_in_settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    home_variable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnServers:
    """Where a program finds the MCP servers of the person's own settings, for which it waits, and
    how it starts without them.

    ``settings`` are JSON files below the home; ``$NAME/…`` is below what a variable says, and
    ``./…`` below the working folder. ``key`` is where the servers stand in them, by name. One of
    these is given: ``only``, the argument with the names of those that it may start; ``without``,
    the argument with the name of one that it may not; ``off``, the variable with settings that go
    before these. ``waits_in`` says whether it waits before it opens a session, or once it has got
    its first message, of which it keeps nothing until then.
    """

    key: str
    settings: tuple[str, ...]
    only: str = ""
    without: str = ""
    off: str = ""
    waits_in: WaitsIn = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acp:
    """How to start a program that speaks the Agent Client Protocol on stdio.

    ``careful`` is an environment in which it asks before it changes anything, ``planning`` one in
    which it changes nothing; ``careful_arguments`` are more arguments in both. ``runs_unasked`` are
    paths in a project that it runs without asking. ``usage`` says of what the counts of a response
    to a prompt are the total. ``levels`` names what a session is set to at each approval level: its
    mode, and other options by their ids. ``agent_info`` is the name by which it introduces itself.
    ``careful_session`` is metadata for a session in which it has to ask, or to change nothing.
    ``free`` and ``free_session`` are the same at auto, and ``free_arguments`` more arguments.
    ``own_questions`` says which of its questions come there from the person's own settings: all of
    them, those about tools of no MCP server, or those that it lets nobody answer for good.
    ``own_servers`` says for which MCP servers it waits, however long they are silent.
    """

    arguments: tuple[str, ...]
    free_arguments: tuple[str, ...] = ()
    careful_arguments: tuple[str, ...] = ()
    agent_info: str = ""
    model_flag: str = ""
    careful: Mapping[str, str] = field(default_factory=dict)
    planning: Mapping[str, str] = field(default_factory=dict)
    careful_session: Mapping[str, Any] = field(default_factory=dict)
    free: Mapping[str, str] = field(default_factory=dict)
    free_session: Mapping[str, Any] = field(default_factory=dict)
    own_questions: OwnQuestions = ""
    runs_unasked: tuple[str, ...] = ()
    usage: Usage = "turn"
    levels: Mapping[str, Mapping[str, str | bool]] = field(default_factory=dict)
    own_servers: OwnServers | None = None

    @property
    def can_plan(self) -> bool:
        """Whether it has anything that keeps it from changing files in "Plan only"."""
        return "plan" in self.levels or bool(self.planning)

    @property
    def can_ask(self) -> bool:
        """Whether it asks before each change, or has nothing to change anything with."""
        return "readonly" in self.levels or bool(self.careful or self.careful_arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentProgram:
    """One agent's program. ``environment`` and ``withheld`` are names of variables, or prefixes
    of names with a ``*``; ``probe`` is ``None`` for a program that is always available."""

    kind: str
    title: str
    name: str
    sign_in: str = ""
    npm: str = ""
    npm_version: str = ""
    pypi: str = ""
    pypi_version: str = ""
    folders: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    is_extra: bool = False
    probe: Probe | None = None
    acp: Acp | None = None

    @property
    def install(self) -> str:
        """The command that installs it; empty if there is none."""
        if self.pypi:
            return f"uv tool install {self.pypi}"
        return f"npm install -g {self.npm}" if self.npm else ""

    def sign_in_at(self, where: str) -> str:
        """Return how a person signs in; ``where`` is "there" or "on this machine"."""
        return self.sign_in.replace("{where}", where)

    def not_signed_in(self) -> str:
        """Return the sentence for a run that failed because nobody is signed in."""
        return not_signed_in(self.title, self.sign_in_at("there"))

    def search_path(self, path: str, home: Path) -> str:
        """Return the PATH on which it is found, for a person whose own is ``path``."""
        own = (str(home / folder.removeprefix("~/")) for folder in self.folders)
        return ":".join([path, *own, *SHARED])


def entries(path: Path | None = None) -> list[dict[str, Any]]:
    """Return the table's entries as they are in the file, without their programs."""
    return [_without_program(entry) for entry in _read(path or PATH)]


@lru_cache(maxsize=1)
def load() -> tuple[AgentProgram, ...]:
    """Return the programs of all agents that have one, in the table's order.

    Raises:
        ValueError: the table is invalid; the text says where.
    """
    return read_programs(_read(PATH))


def get(kind: str) -> AgentProgram:
    """Return the program of a kind that is in the table.

    Raises:
        KeyError: it is not.
    """
    return {program.kind: program for program in load()}[kind]


def not_signed_in(title: str, sign_in: str) -> str:
    """Return the sentence for a turn that failed because nobody is signed in."""
    words = [f"{title} is not signed in on this machine.", sign_in, "Then send the message again."]
    return " ".join(words if sign_in else words[:1])


def find_by_name(name: str) -> AgentProgram | None:
    """Return the agent whose program is called ``name``; ``None`` for any other program."""
    return next((program for program in load() if program.name == name), None)


def find_by_agent_info(name: str) -> AgentProgram | None:
    """Return the agent that introduces itself as ``name`` in ACP; ``None`` for any other."""
    return next(
        (each for each in load() if name and each.acp and each.acp.agent_info == name), None
    )


def read_programs(given: list[dict[str, Any]]) -> tuple[AgentProgram, ...]:
    """Return the programs that ``given``, the table's entries, describe.

    Raises:
        ValueError: one is invalid; the text says which and why.
    """
    for entry in given:
        if entry.get("needs") == "capability" and "probe" not in entry.get("program", {}):
            raise ValueError(f"{entry.get('kind')}: program.probe is missing")
    programs = tuple(_read_program(entry) for entry in given if "program" in entry)
    for what in ("kind", "name"):
        known = [getattr(program, what) for program in programs]
        if len(known) != len(set(known)):
            raise ValueError(f"agents: each {what} may appear only once: {known}")
    return programs


def _read(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["agents"]
    return found


def _without_program(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what people see of an agent; the install hint comes from its npm package."""
    shown = {name: value for name, value in entry.items() if name != "program"}
    program = entry.get("program", {})
    if npm := program.get("npm"):
        shown.setdefault("install", f"Install it there: npm install -g {npm}")
    if pypi := program.get("pypi"):
        shown.setdefault("install", f"Install it there: uv tool install {pypi}")
    if "sign_in" in shown:
        shown["sign_in"] = shown["sign_in"].replace("{where}", "there")
    return shown


def _read_program(entry: dict[str, Any]) -> AgentProgram:
    kind, given = str(entry.get("kind")), dict(entry["program"])
    try:
        probe, acp = given.pop("probe", None), given.pop("acp", None)
        program = AgentProgram(
            kind=kind,
            title=entry["title"],
            sign_in=entry.get("sign_in", ""),
            probe=None if probe is None else Probe(**_settings(_tuples(probe))),
            acp=None if acp is None else Acp(**_environments(_tuples(acp))),
            **_tuples(given),
        )
    except (KeyError, TypeError) as exc:  # an unknown key, or a missing one
        raise ValueError(f"{kind}: {str(exc).partition('.__init__() ')[2] or exc}") from exc
    _check(program)
    return program


def _tuples(given: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in given.items()}


def _settings(probe: dict[str, Any]) -> dict[str, Any]:
    if "signed_in_settings" in probe:
        return probe | {"signed_in_settings": _tuples(probe["signed_in_settings"])}
    return probe


def _environments(acp: dict[str, Any]) -> dict[str, Any]:
    """Return ``acp`` with the values of its environments as texts: a table as JSON, and the folder
    of our policies where ``{policies}`` stands, also in arguments."""
    is_environment = ("careful", "free", "planning")
    texts = {key: _texts(v) if key in is_environment else v for key, v in acp.items()}
    arguments = acp.get("careful_arguments", ())
    placed: dict[str, Any] = {"careful_arguments": tuple(_placed(each) for each in arguments)}
    if "own_servers" in acp:
        placed["own_servers"] = OwnServers(**_tuples(acp["own_servers"]))
    return texts | placed


def _texts(given: Any) -> Any:
    if not isinstance(given, dict):
        return given
    return {
        name: json.dumps(value) if isinstance(value, dict) else _placed(value)
        for name, value in given.items()
    }


def _placed(value: Any) -> Any:
    return value.replace("{policies}", str(POLICIES)) if isinstance(value, str) else value


def _check(program: AgentProgram) -> None:
    """Raise ``ValueError`` for errors that the types don't catch."""
    kind = program.kind
    if not _KIND.fullmatch(kind) or kind.startswith("acp:") != (program.acp is not None):
        raise ValueError(f"{kind}: a name of a-z, 0-9 and -; “acp:” goes with program.acp")
    if not _NAME.fullmatch(program.name):
        raise ValueError(f"{kind}: program.name must be a plain file name, not {program.name!r}")
    for name in ("npm", "pypi"):
        if getattr(program, name) and not getattr(program, f"{name}_version"):
            raise ValueError(f"{kind}: program.{name}_version is missing")
    for name in (*program.environment, *program.withheld):
        if not isinstance(name, str) or not VARIABLE.fullmatch(name):
            raise ValueError(f"{kind}: program.environment: {name!r} is no agent's variable")
    if any(not folder.startswith("~/") for folder in program.folders):
        raise ValueError(f"{kind}: program.folders are below the home, such as ~/.local/bin")
    if program.probe is not None and program.probe.judge not in get_args(Judge):
        raise ValueError(f"{kind}: program.probe.judge must be one of {get_args(Judge)}")
    if program.acp is not None and program.acp.usage not in get_args(Usage):
        raise ValueError(f"{kind}: program.acp.usage must be one of {get_args(Usage)}")
    if program.acp is not None:
        _check_acp(kind, program.acp)


def _check_acp(kind: str, acp: Acp) -> None:
    for environment in (acp.careful, acp.planning, acp.free):
        if not all(isinstance(value, str) for value in environment.values()):
            raise ValueError(f"{kind}: program.acp: an environment has texts and tables")
    for name in ("careful_session", "free_session"):
        if not isinstance(getattr(acp, name), dict):
            raise ValueError(f"{kind}: program.acp.{name} is a table")
    if acp.own_questions not in get_args(OwnQuestions):
        raise ValueError(
            f"{kind}: program.acp.own_questions must be one of {get_args(OwnQuestions)}"
        )
    if own := acp.own_servers:
        if len([each for each in (own.only, own.without, own.off) if each]) != 1:
            raise ValueError(f"{kind}: program.acp.own_servers has one of only, without and off")
        if own.waits_in not in get_args(WaitsIn):
            raise ValueError(
                f"{kind}: program.acp.own_servers.waits_in must be one of {get_args(WaitsIn)}"
            )
    _check_levels(kind, acp.levels)


def _check_levels(kind: str, levels: Any) -> None:
    if not isinstance(levels, dict) or not levels.keys() <= set(get_args(Level)):
        raise ValueError(f"{kind}: program.acp.levels is a table of {get_args(Level)}")
    for level, settings in levels.items():
        values = settings.values() if isinstance(settings, dict) else ()
        if not values or not all(isinstance(each, str | bool) and each != "" for each in values):
            raise ValueError(f"{kind}: program.acp.levels.{level} names a mode or options")
