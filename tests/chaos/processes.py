"""The processes of a walk: which there are, and how they are broken and mended."""

from __future__ import annotations

import json
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from mesh import processes
from tests.faults.laptop import Laptop
from tests.running import RunningMesh
from tests.waiting import PATIENCE, until

AGENTS = ("demo_agent.py", "recorded_agent.py")


class World:
    """A Mesh with its own link, and a laptop; ``root`` is above everything they write."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.mesh = RunningMesh(root / "home", MESH_PRIVATE_HOSTS="127.0.0.1")
        self.laptop: Laptop | None = None
        self.frozen: dict[str, list[psutil.Process]] = {}
        self.faults = 0

    def start(self) -> None:
        self.mesh.start().online()
        self.laptop = Laptop(self.root / "laptop", server=self.mesh.url, token=self.mesh.token)
        self.laptop.start().online()

    def break_(self, who: str, how: str) -> bool:
        """Kill, end or freeze these processes; return whether there were any."""
        found = self.find(who)
        if not found:
            return False
        self.faults += 1
        if how == "freeze":
            self.frozen[who] = found
        self.send(found, {"kill": "SIGKILL", "term": "SIGTERM", "freeze": "SIGSTOP"}[how])
        if how == "freeze":
            return True
        for frozen in self.frozen.values():  # they are gone, whoever froze them
            frozen[:] = [each for each in frozen if each not in found]
        if who == "server":
            self.mesh.process.wait(PATIENCE)
            self.mesh.start()
        elif who == "laptop":
            self.laptop.process.wait(PATIENCE)
            self.laptop.start()
        return True

    def thaw(self, who: str) -> None:
        self.send(self.frozen.pop(who, []), "SIGCONT")

    @property
    def answers(self) -> bool:
        """Whether the server may answer at present."""
        return not self.frozen.get("server")

    def send(self, found: list[psutil.Process], name: str) -> None:
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(getattr(signal, name))

    def find(self, who: str) -> list[psutil.Process]:
        match who:
            case "server":
                return _living([self.mesh.process.pid])
            case "link":
                link = self.mesh.facts().get("link")
                alive = link and processes.is_same(link["pid"], link["started"])
                return _living([link["pid"]]) if alive else []
            case "laptop":
                return _living([self.laptop.process.pid])
            case "sandbox":
                return self.sandboxes()[:1]
        return [
            child
            for sandbox in self.sandboxes()
            for child in _children(sandbox)
            if any(name in " ".join(_command(child)) for name in AGENTS)
        ][:1]

    def sandboxes(self) -> list[psutil.Process]:
        """The living sandboxes that their folders name."""
        pids = []
        for path in sorted(self.root.glob("*/sandboxes/*/pid")):
            with suppress(OSError, ValueError, KeyError):
                facts = json.loads(path.read_text())
                if processes.is_same(facts["pid"], facts["started"]):
                    pids.append(facts["pid"])
        return _living(pids)

    def mend(self) -> None:
        """Have everything run again."""
        for who in list(self.frozen):
            self.thaw(who)
        if self.mesh.process.poll() is not None:
            self.mesh.start()
        if self.laptop.process.poll() is not None:
            self.laptop.start()
        self.mesh.online()
        self.laptop.online()

    def at_work(self, mark: str) -> list[str]:
        """Return the command lines of the processes, of whomever, that have ``mark`` in theirs or
        work below it."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                words, folder = " ".join(process.cmdline()), process.cwd()
                if mark in words or folder.startswith(mark):
                    found.append(f"{process.pid}: {words}")
        return found

    def errors(self) -> list[str]:
        """Return the errors in the server's log, each once: nothing fails by them, but look."""
        lines = (self.root / "home" / "log" / "server.log").read_text().splitlines()
        return list(dict.fromkeys(line[24:224] for line in lines if line[24:30] == "ERROR "))

    def end(self) -> str:
        """End everything in order; return what is wrong with that, if anything."""
        self.mesh.process.terminate()
        code = self.mesh.process.wait(PATIENCE)
        self.laptop.close()
        wrong = f"the server ended with {code}" if code else ""
        with suppress(AssertionError):
            until(lambda: not self.at_work(str(self.root)), within=20)
        left = self.at_work(str(self.root))
        return wrong or (f"left behind: {left}" if left else "")

    def close(self) -> None:
        """End whatever is left, whatever state it is in."""
        for who in list(self.frozen):
            self.thaw(who)
        if self.laptop is not None:
            self.laptop.close()
        self.mesh.close()
        for line in self.at_work(str(self.root)):
            with suppress(psutil.NoSuchProcess):
                psutil.Process(int(line.partition(":")[0])).kill()


def _living(pids: list[int]) -> list[psutil.Process]:
    found = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return process.children(recursive=True)
    return []


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []
