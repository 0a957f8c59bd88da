"""The environment of a link that runs as a service: as a terminal of the person's would have it.

Where a variable comes from: what the person keeps for the service, else the login shell, else what
the service was started with. Programs are found through the shell's PATH, then through the kept
one and the service's own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from links.daemon import kept_variables, login_shell, ssh_agent
from links.daemon.login_shell import Answer
from links.daemon.needed_variables import is_needed
from mesh import launch

logger = logging.getLogger(__name__)

LONGEST_PATH: Final = 32_000  # characters


@dataclass(frozen=True, slots=True)
class Found:
    """The ``variables`` for agents and tools; ``answer`` is the shell's own."""

    variables: Mapping[str, str]
    answer: Answer


def find(
    home: Path,
    *,
    named: Collection[str] = (),
    environ: Mapping[str, str],
    ask: Callable[..., Answer] = login_shell.ask,
) -> Found:
    """Return what a service would work with now; ``environ`` is its own. Blocking."""
    answer = ask(named=named, environ=environ)
    said, kept = (
        {
            name: value
            for name, value in given.items()
            if is_needed(name, named) and kept_variables.is_value(value)
        }
        for given in (answer.variables, kept_variables.read(home))
    )
    paths = (said.get("PATH", ""), kept.get("PATH", ""), environ.get("PATH", ""))
    found = said | kept | {"PATH": _joined(paths, home)}
    agents = (each.get(ssh_agent.VARIABLE, "") for each in (kept, environ, said))
    found[ssh_agent.VARIABLE] = ssh_agent.find(home, *agents, environ=environ)
    return Found(found, answer)


def _joined(paths: Iterable[str], home: Path) -> str:
    """Return the folders of ``paths``, each once, without those that agents can write."""
    folders = dict.fromkeys(folder for path in paths for folder in path.split(os.pathsep))
    path = os.pathsep.join(folder for folder in folders if folder)[:LONGEST_PATH]
    return launch.safe_path(path, str(home / "sandboxes"))


class ServiceEnvironment:
    """Keeps ``environ``, the link's own, as the person's terminal would have it."""

    def __init__(
        self,
        home: Path,
        *,
        named: Collection[str] = (),
        environ: MutableMapping[str, str] = os.environ,
        ask: Callable[..., Answer] = login_shell.ask,
    ) -> None:
        self._home, self._named, self._environ, self._ask = home, frozenset(named), environ, ask
        self._own = dict(environ)  # as the service was started
        self._set: set[str] = set()  # those that we have set in ``environ``

    async def refresh(self) -> None:
        """Ask again, and change ``environ``; logs names only."""
        # Others read ``environ`` in this thread, so only the asking is done in another.
        self.take(await asyncio.to_thread(self.look))

    def look(self) -> Found:
        """Return what the environment should be now. Blocking."""
        return find(self._home, named=self._named, environ=self._own, ask=self._ask)

    def take(self, found: Found) -> None:
        """Change ``environ`` to what was ``found``; logs names only."""
        answer, variables = found.answer, dict(found.variables)
        if answer.trouble:
            logger.warning(
                "login shell %s: %s; programs are looked for in the PATH that was kept",
                answer.shell,
                answer.trouble,
            )
            # What the shell said before is better than nothing.
            before = {n: self._environ[n] for n in self._set if n in self._environ}
            paths = (variables["PATH"], before.get("PATH", ""))
            variables = before | variables | {"PATH": _joined(paths, self._home)}
        agent = self._address_of(variables.pop(ssh_agent.VARIABLE, ""))
        self._put(variables | ({ssh_agent.VARIABLE: agent} if agent else {}))

    def _address_of(self, agent: str) -> str:
        try:
            return ssh_agent.point_to(self._home, agent)
        except OSError as exc:  # a full disk: its own address works until the person signs out
            logger.warning("SSH agent: %s not written: %s", exc.filename, exc.strerror)
            return agent

    def _put(self, variables: Mapping[str, str]) -> None:
        changed = {n for n, value in variables.items() if self._environ.get(n) != value}
        for name in self._set - variables.keys():
            changed.add(name)
            if name in self._own:
                self._environ[name] = self._own[name]
            else:
                self._environ.pop(name, None)
        self._environ.update(variables)
        self._set = set(variables)
        if changed:
            logger.info(
                "service: took from the login shell, and what is kept: %s", _listed(changed)
            )

    @property
    def digest(self) -> str:
        """Return what tells this environment from an earlier one, and no value of it.

        The SSH agent's address is no part of what changes: it stays the same.
        """
        values = {name: self._environ.get(name, "") for name in sorted(self._set)}
        # A version manager may make a new link to the same folder for each shell.
        folders = values.get("PATH", "").split(os.pathsep)
        values["PATH"] = os.pathsep.join(map(os.path.realpath, folders))
        text = json.dumps(values, sort_keys=True)
        return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
