"""Which approval levels a person's own agents (--acp) can hold, before their first message.

Mesh knows that of an agent in its table; of another one its session tells it. So each is asked
once, by a program of the sandboxes' (ADR 36), and its answer is kept until its program is another
file, or the command says something else.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from links.daemon.config import Agent
from links.daemon.sandbox_process import environment, with_agents
from links.wire.messages import MachineStatus
from mesh import launch
from mesh.plain_files import read_plain, write_plain

logger = logging.getLogger(__name__)

COMMAND: Final = tuple(launch.command("sandboxes.daemon.agent_levels"))
LIMIT: Final = 60.0  # seconds; the program gives up earlier itself
GRACE: Final = 5.0  # seconds for it to end what it has started
# A launcher such as npx brings a newer program though its own file stays.
KEPT_FOR: Final = 7 * 24 * 3600.0  # seconds


class AgentLevels:
    """Knows and asks the levels of ``agents``; what they said is kept below ``home``."""

    def __init__(
        self,
        home: Path,
        agents: Sequence[Agent],
        *,
        command: Sequence[str] = COMMAND,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = home / "link" / "agent-levels.json"
        self._agents = {agent.kind: agent for agent in agents}
        self._command = tuple(command)
        self._clock = clock
        self._silent: set[str] = set()  # keys of those that did not say it

    def known(self, found: MachineStatus) -> MachineStatus:
        """Return the status with what each agent of the person's has said last. Blocking."""
        answers = self._read()
        reports = dict(found.harnesses)
        for kind, agent in self._agents.items():
            if kind in reports:
                plain = {name: text for name, text in reports[kind].items() if name != "levels"}
                reports[kind] = plain | _words_of(answers.get(key_of(agent), {}))
        return replace(found, harnesses=reports)

    async def ask(self, found: MachineStatus, *, again: bool) -> MachineStatus:
        """Ask the agents that are ready and have not said it; return the status as ``known``.

        ``again``: also those that did not answer before.
        """
        if again:
            self._silent.clear()
        answers = self._read()
        for kind, agent in self._agents.items():
            key = key_of(agent)
            is_ready = found.harnesses.get(kind, {}).get("state") == "ready"
            if not is_ready or key in answers or key in self._silent:
                continue
            if _words_of(answer := await self._answer_of(agent)):
                answers[key] = answer | {"asked": self._clock()}
                self._keep(answers)
            else:
                self._silent.add(key)
                logger.info("agent %s: does not say which levels it can hold", kind)
        return self.known(found)

    async def _answer_of(self, agent: Agent) -> dict[str, Any]:
        argv = with_agents((*self._command, agent.kind), [agent])
        try:
            child = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment(os.environ),
                cwd=launch.FOLDER,
                start_new_session=True,
            )
        except OSError:
            return {}
        try:
            async with asyncio.timeout(LIMIT):
                out, _ = await child.communicate()
            answer = json.loads(out)
        except (TimeoutError, ValueError, RecursionError):
            return {}
        finally:
            await _end(child)
        return answer if isinstance(answer, dict) else {}

    def _read(self) -> dict[str, dict[str, Any]]:
        """Return the answers of the agents as they are now, by their keys."""
        try:
            kept = json.loads(read_plain(self._path))
        except (OSError, ValueError, RecursionError):
            return {}
        keys = {key_of(agent) for agent in self._agents.values()}
        found = kept.items() if isinstance(kept, dict) else ()
        return {key: value for key, value in found if key in keys and self._is_fresh(value)}

    def _is_fresh(self, answer: object) -> bool:
        asked = answer.get("asked") if isinstance(answer, dict) else None
        now = self._clock()
        return isinstance(asked, int | float) and now - KEPT_FOR < asked <= now

    def _keep(self, answers: dict[str, dict[str, Any]]) -> None:
        draft = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_plain(draft, json.dumps(answers))
            draft.replace(self._path)
        except OSError as exc:
            logger.warning("the levels of agents can't be kept: %s", exc.strerror)


def key_of(agent: Agent) -> str:
    """Return a hash of an agent's command, of its program's file and, for the script of an
    interpreter, of that: an upgrade changes them. Other files in it may change at each start.
    """
    first, *words = agent.command
    script = next((word for word in words if os.path.isabs(word) and os.path.isfile(word)), "")
    files = [_facts(shutil.which(first) or first), _facts(script)]
    facts = [agent.kind, list(agent.command), list(agent.variables), files]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _facts(file: str) -> list[Any]:
    """Return what tells a file from the one that is there after an upgrade; of no file nothing."""
    try:
        path = os.path.realpath(file)
        facts = os.stat(path)
    except (OSError, ValueError):
        return []
    return [path, facts.st_size, facts.st_mtime_ns]


def _words_of(answer: dict[str, Any]) -> dict[str, str]:
    """Return what a report says of an agent with this answer; empty if it did not answer."""
    levels, version = answer.get("levels"), answer.get("version")
    if not isinstance(levels, list) or not all(isinstance(each, str) for each in levels):
        return {}
    number = {"version": version} if isinstance(version, str) and version else {}
    return {"levels": " ".join(levels), **number} if levels else {}


async def _end(child: asyncio.subprocess.Process) -> None:
    """Let the child end what it has started; then end it by force."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await child.wait()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        await child.wait()
