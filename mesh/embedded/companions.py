"""The link of this machine, which ``make run`` starts beside the server."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from links.daemon.errors import Superseded
from links.daemon.named_agents import read_agents, split
from mesh import launch, processes
from mesh.lib.backoff import Backoff
from mesh.plain_files import read_plain


class LocalLink:
    """Keeps one ``deco_link`` running until ``stop``; tells the person about restarts."""

    def __init__(
        self,
        *,
        argv: list[str],
        home: Path,
        on_start: Callable[[dict[str, object]], None],
        say: Callable[[str], None],
    ) -> None:
        self._argv, self._home, self._on_start, self._say = argv, home, on_start, say
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the link, and keep it running in the background."""
        self._keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        backoff = Backoff()
        while True:
            begun = time.monotonic()
            with (self._home / "link" / "output").open("wb") as output:
                # In its own session: Ctrl-C reaches only us, and we choose when to end it.
                process = await asyncio.create_subprocess_exec(
                    *self._argv,
                    cwd=launch.FOLDER,
                    env={**os.environ, "MESH_HOME": str(self._home)},
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            self._process = process
            self._on_start({"pid": process.pid, "started": processes.started_at(process.pid)})
            code = await process.wait()
            if code == Superseded.exit_code:
                self._say("Another link of this machine has taken over, so this one has stopped.")
                return
            backoff.connected_for(time.monotonic() - begun)
            wait = backoff.next()
            self._say(
                f"The link of this machine ended (exit code {code}); restarting in {wait:.0f} s."
                f" Its output is in {self._home / 'link' / 'output'}."
            )
            await asyncio.sleep(wait)

    async def stop(self) -> None:
        """Stop the link; wait up to 5 s for it to exit cleanly."""
        if self._keeper is not None:
            self._keeper.cancel()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()


def acp_words(commands: str, variables: str) -> list[str]:
    """Return the link's options for the agents that MESH_ACP and MESH_ACP_ENV name.

    Raises:
        ValueError: one is invalid; the text says which and why.
    """
    named, seen = _values("MESH_ACP", commands), _values("MESH_ACP_ENV", variables)
    read_agents(named, seen, options=("MESH_ACP", "MESH_ACP_ENV"))
    return [*(f"--acp={each}" for each in named), *(f"--acp-env={each}" for each in seen)]


def _values(name: str, text: str) -> list[str]:
    try:
        return split(text)
    except ValueError as exc:
        raise ValueError(f"{name} {text}: a quote is not closed.") from exc


def argv_of(
    *, port: int, token: Path, name: str, folder: str = "", acp: Sequence[str] = ()
) -> list[str]:
    """Return the command line of this machine's link, with ``folder`` allowed and the options
    ``acp``."""
    address = f"http://127.0.0.1:{port}"
    allowed = ["--allow", folder] if folder else []
    words = [address, "--token-file", str(token), "--name", name, *allowed, *acp]
    return launch.command("manage", "deco_link", *words)


def end_sandboxes(home: Path) -> int:
    """End every sandbox process of this machine; return how many there were. Blocks ≤ 10 s.

    Their folders stay as they are; each sandbox first journals the end of its runs.
    """
    living = [
        (int(facts["pid"]), str(facts["started"]))
        for facts in map(_facts, sorted((home / "sandboxes").glob("*/pid")))
        if facts and processes.is_same(int(facts["pid"]), str(facts["started"]))
    ]
    if living:
        with ThreadPoolExecutor(len(living)) as pool:
            list(pool.map(lambda one: processes.end(*one, within=8), living))
    return len(living)


def _facts(path: Path) -> dict[str, str] | None:
    try:
        facts = json.loads(read_plain(path))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(facts, dict) or "started" not in facts:
        return None
    return facts if type(facts.get("pid")) is int else None
