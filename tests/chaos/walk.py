"""One walk: play a schedule against a whole Mesh, mend everything, and look whether all is true."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.processes import World
from tests.chaos.schedule import Step
from tests.faults.reader import Reader
from tests.running import say
from tests.secrecy import MARK
from tests.standin import Standin, anthropic
from tests.waiting import until

QUICK = 5.0  # seconds that a request may take before it counts as lost
SETTLE = 180.0  # seconds after the last repair until every run has ended: design §10 says 60
PIECES = 40
OPEN = ("queued", "running", "requires_action")


class Violation(Exception):
    """Something is not as it must be."""


@dataclass
class Said:
    """A message of the walk."""

    thread: Thread
    text: str
    key: str
    level: str = "auto"
    effect: Path | None = None  # the file that its command appends a line to
    run: str = ""  # once it was accepted
    refused: str = ""  # the code, if it was not
    decisions: set[str] = field(default_factory=set)  # the answers to its questions
    is_stopped: bool = False


@dataclass
class Thread:
    id: str
    agent: str
    reader: Reader
    said: list[Said] = field(default_factory=list)


@dataclass
class Figures:
    faults: int = 0
    runs: int = 0
    events: int = 0
    recoveries: list[float] = field(default_factory=list)


class Walk:
    def __init__(self, world: World, standin: Standin) -> None:
        self.world, self.standin = world, standin
        self.effects = world.root / "effects"
        self.effects.mkdir()
        self.threads: list[Thread] = []
        self.wanted: list[str] = []  # the agents of threads that are not made yet
        self.posts: list[Said] = []  # not answered yet
        self.log: list[str] = []
        self._opened = ExitStack()
        self._number = 0

    # Playing

    def play(self, steps: Sequence[Step]) -> Figures:
        """Play the steps; return what was counted.

        Raises:
            Violation: with what is wrong.
        """
        self.add_key()
        with self._opened:
            for step in steps:
                begun = time.monotonic()
                came = self.do(step)
                self.log.append(f"{step}  # {came} ({time.monotonic() - begun:.1f} s)")
                time.sleep(step.wait / 1000)  # a walk is no test: its pauses are part of it
            return self.settle()

    def do(self, step: Step) -> str:
        if step.what in ("kill", "term", "freeze"):
            return "done" if self.world.break_(step.words[0], step.what) else "nobody there"
        if step.what == "thaw":
            self.world.thaw(step.words[0])
            return "done"
        if step.what == "pause":
            return ""
        if step.what in ("speak", "command") and int(step.words[0]) < len(self.threads):
            self.posts.append(self.write(step))
        if step.what == "new":
            self.wanted.append(step.words[0])
        if not self.world.answers:
            return "the server is frozen"
        try:
            return self.ask(step)
        except httpx.HTTPError as exc:
            return f"no answer: {exc!r}"

    def ask(self, step: Step) -> str:
        while self.wanted:
            self.new(self.wanted[0])
            del self.wanted[0]
        self.post()
        if step.what == "new":
            return self.threads[-1].id
        place = int(step.words[0])
        if place >= len(self.threads):
            return "no such thread"
        thread = self.threads[place]
        match step.what:
            case "answer":
                return self.answer(thread, step.words[1])
            case "stop":
                return self.stop(thread)
            case "steer":
                return self.steer(thread)
        return ""

    def new(self, agent: str) -> None:
        with self.api() as api:
            thread_id = self.checked(api.post("/threads", json={})).raise_for_status().json()["id"]
        reader = Reader(
            lambda: self.world.mesh.url,
            token=self.world.mesh.token,
            thread=thread_id,
            finishes=10**9,
        )
        self.threads.append(Thread(thread_id, agent, self._opened.enter_context(reader)))

    def write(self, step: Step) -> Said:
        thread, level = self.threads[int(step.words[0])], step.words[1]
        self._number += 1
        name = f"m{self._number}"
        effect = None
        if step.what == "command":
            effect = self.effects / name
            verb = "bash:" if thread.agent == "decopilot" else "run"
            text = f"{verb} echo x >> {effect}; sleep 1"
        elif thread.agent == "recorded":
            text = f"pieces {PIECES} 30 {name}"
        elif thread.agent == "demo":
            text = f"count slowly to 12 {name}"
        else:
            text = f"{name} slow 20 100"
        return Said(thread, text, f"key-{name}", level, effect)

    def post(self) -> None:
        """Send the messages that were not answered yet, as a page does: by their ids, in order."""
        while self.posts:
            said = self.posts[0]
            harness = "decopilot" if said.thread.agent == "decopilot" else "demo"
            to = {
                "harnessId": harness,
                "linkId": self.link(said.thread.agent),
                "whenOffline": "queue",
                "toolApprovalLevel": said.level,
            }
            with self.api() as api:
                answer = self.checked(say(api, said.thread.id, said.text, key=said.key, **to))
            if answer.status_code == 503:
                return
            self.posts.pop(0)
            if answer.status_code == 202:
                said.run = answer.json()["runId"]
                said.thread.said.append(said)
            else:
                said.refused = answer.json()["error"]["code"]
                self.log.append(f"# {said.key} refused: {answer.text}")

    def answer(self, thread: Thread, decision: str) -> str:
        """Answer the newest open question of the thread."""
        asked: dict[str, str] = {}
        for _, chunk in list(thread.reader.seen):
            if chunk["type"] == "data-approval":
                asked[chunk["data"]["approvalId"]] = chunk["data"]["state"]
        found = [each for each, state in asked.items() if state in ("asked", "shown")]
        if not found:
            return "no question"
        with self.api() as api:
            path = f"/threads/{thread.id}/approvals/{found[-1]}"
            answer = self.checked(api.post(path, json={"decision": decision}))
        if answer.status_code == 200:
            self.decided(thread, found[-1], decision)
        return str(answer.status_code)

    def decided(self, thread: Thread, question: str, decision: str) -> None:
        said = self.said_of(thread, question)
        if said is not None:
            said.decisions.add(decision)

    def said_of(self, thread: Thread, question: str) -> Said | None:
        """Return the message whose run asks this question: its input has the effect's path."""
        for _, chunk in list(thread.reader.seen):
            if chunk["type"] == "data-approval" and chunk["data"]["approvalId"] == question:
                for said in thread.said:
                    if said.effect and f"{said.effect};" in str(chunk["data"]):
                        return said
        return None

    def stop(self, thread: Thread) -> str:
        with self.api() as api:
            answer = self.checked(api.post(f"/cancel/{thread.id}"))
        if answer.status_code not in (200, 202):
            return str(answer.status_code)
        stopped = {run["runId"] for run in answer.json()["runs"]}
        for said in thread.said:
            said.is_stopped |= said.run in stopped
        return f"{answer.status_code} {len(stopped)}"

    def steer(self, thread: Thread) -> str:
        with self.api() as api:
            page = self.checked(api.get(f"/threads/{thread.id}/messages"))
            if page.status_code != 200 or not page.json()["queue"]:
                return "nothing waits"
            run = page.json()["queue"][0]["runId"]
            return str(
                self.checked(api.post(f"/threads/{thread.id}/queue/{run}/steer")).status_code
            )

    # Asking

    @contextmanager
    def api(self) -> Iterator[httpx.Client]:
        with self.world.mesh.client() as client:
            client.timeout = httpx.Timeout(QUICK)
            yield client

    def checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code >= 500 and answer.status_code != 503:
            raise Violation(f"{answer.request.method} {answer.url}: {answer.text[:500]}")
        return answer

    def link(self, agent: str) -> str:
        with self.api() as api:
            links = self.checked(api.get(f"{self.world.mesh.url}/api/links")).json()["links"]
        is_laptop = agent == "recorded"
        return next(one["id"] for one in links if (one["name"] == "laptop") is is_laptop)

    def add_key(self) -> None:
        with self.api() as api:
            given = {"provider": "anthropic", "baseUrl": self.standin.url, "key": f"sk-ant-{MARK}"}
            url = f"{self.world.mesh.url}/api/home/ai-keys"
            assert api.post(url, json=given).status_code == 201

    # Looking

    def settle(self) -> Figures:
        """Mend everything, wait until each run has ended, and check all that must hold."""
        self.world.mend()
        begun = time.monotonic()
        self.wait(self.all_sent, "a message that can be sent")
        self.wait(self.all_over, "each run's end")
        took = time.monotonic() - begun
        for thread in self.threads:
            self.probe(thread)
        self.wait(lambda: not self.world.at_work(str(self.effects)), "the end of each command")
        for thread in self.threads:
            self.look_at(thread)
        self.look_at_sandboxes()
        events = sum(len(thread.reader.seen) for thread in self.threads)
        runs = sum(len(thread.said) for thread in self.threads)
        if wrong := self.world.end():
            raise Violation(wrong)
        return Figures(self.world.faults, runs, events, [took])

    def wait(self, condition: Any, what: str) -> None:
        def holds() -> Any:
            try:
                return condition()
            except httpx.HTTPError:
                return False

        try:
            until(holds, within=SETTLE, what=what)
        except AssertionError as exc:
            raise Violation(f"{exc}: {self.states()}") from exc

    def states(self) -> list[Any]:
        found = []
        with self.api() as api:
            for thread in self.threads:
                with suppress(httpx.HTTPError):
                    told = api.get(f"/threads/{thread.id}").json()
                    found.append(
                        (thread.id, thread.agent, told["status"], told["resting"], told["stopDue"])
                    )
        return [*found, self.world.at_work(str(self.effects))]

    def all_sent(self) -> bool:
        self.post()
        return not self.posts

    def all_over(self) -> bool:
        """Say whether nothing is open; questions that are left are denied."""
        is_over = True
        for thread in self.threads:
            with self.api() as api:
                told = self.checked(api.get(f"/threads/{thread.id}")).json()
            if told["status"] in OPEN or told["stopDue"]:
                is_over = False
            if told["status"] == "requires_action":
                self.answer(thread, "deny")
        if not is_over:
            time.sleep(0.2)
        return is_over

    def probe(self, thread: Thread) -> None:
        """Check that the thread takes a message, and answers it."""
        words = {"demo": "count to 3", "recorded": "pieces 2 1", "decopilot": "say: probe"}
        said = Said(thread, words[thread.agent], f"probe-{thread.id}")
        self.posts.append(said)
        self.wait(self.all_sent, "a probe that can be sent")
        if said.refused:
            raise Violation(f"thread {thread.id} takes no message: {said.refused}")
        self.wait(self.all_over, "the probe's end")
        states = self.answers(thread)
        if states.get(said.run, {}).get("state") != "completed":
            raise Violation(f"thread {thread.id}: the probe: {states.get(said.run)}")

    def page(self, thread: Thread) -> dict[str, Any]:
        with self.world.mesh.client() as api:
            found: dict[str, Any] = self.checked(
                api.get(f"/threads/{thread.id}/messages", params={"limit": 100})
            ).json()
        return found

    def answers(self, thread: Thread) -> dict[str, dict[str, Any]]:
        """Return what is told of each run: its ``state`` and its ``parts``."""
        return {
            message["id"]: {
                "state": message["metadata"]["state"],
                "error": message["metadata"].get("error"),
                "parts": message["parts"],
            }
            for message in self.page(thread)["messages"]
            if message["role"] == "assistant"
        }

    def look_at(self, thread: Thread) -> None:
        cursor = self.page(thread)["cursor"]
        reader = thread.reader
        with suppress(AssertionError):
            until(lambda: reader.last >= cursor, what="the reader")
        numbers = [seq for seq, _ in reader.seen]
        if numbers != list(range(1, cursor + 1)):
            raise Violation(f"thread {thread.id}: a reader got {len(numbers)} events, of {cursor}")
        told = self.answers(thread)
        answers = [told.get(said.run) for said in thread.said]
        # The stand-in reads a message that has no answer together with the next: it then does both,
        # as one command.
        is_clear = thread.agent != "decopilot" or all(
            answer and answer["state"] == "completed" for answer in answers
        )
        for said, answer in zip(thread.said, answers, strict=True):
            self.look_at_message(said, answer, is_clear=is_clear)

    def look_at_message(
        self, said: Said, told: dict[str, Any] | None, *, is_clear: bool = True
    ) -> None:
        """Check what is told of a message. ``is_clear``: its agent was told it as it stands."""
        state = told["state"] if told else "without an answer"
        where = f"{said.key} ({said.text}) of thread {said.thread.id}, {state}"
        if told and state not in ("completed", "failed", "cancelled"):
            raise Violation(f"{where}: it has not ended")
        if state == "failed" and not (told and told["error"]):
            raise Violation(f"{where}: it says no reason")
        if said.is_stopped and state == "completed":
            raise Violation(f"{where}: it was stopped")
        if is_clear:
            self.look_at_prompt(said, state, where)
        if said.effect is not None and is_clear:
            self.look_at_effect(said, told, where)
        if state == "completed" and said.text.startswith(f"pieces {PIECES} "):
            texts = [part["text"] for part in told["parts"] if "text" in part]
            wanted = [f"{n}-ä🙂 " for n in range(1, PIECES + 1)]
            if [text for text in texts if "You say in between" not in text] != wanted:
                raise Violation(f"{where}: its text is {texts}")

    def look_at_prompt(self, said: Said, state: str, where: str) -> None:
        if said.key.startswith("probe"):
            return
        if said.thread.agent == "recorded":
            times = self.world.laptop.prompts.count(said.text)
            if times > 1 or (state == "completed" and times != 1):
                raise Violation(f"{where}: its agent got it {times} times")
        if said.thread.agent == "decopilot":
            # Messages without an answer between them are one of the person's to a model.
            asked = ["\n".join(anthropic.read(each.body)[0]) for each in self.standin.messages]
            most = max((texts.split("\n").count(said.text) for texts in asked), default=0)
            if most > 1 or (state == "completed" and most != 1):
                raise Violation(f"{where}: its model got it {most} times in one request")

    def look_at_effect(self, said: Said, told: dict[str, Any] | None, where: str) -> None:
        assert said.effect is not None
        times = said.effect.read_text().count("x") if said.effect.exists() else 0
        calls = [part for part in told["parts"] if "toolCallId" in part] if told else []
        states = [call["state"] for call in calls]
        if times > 1:
            raise Violation(f"{where}: its command ran {times} times")
        if times and said.level == "readonly" and "allow" not in said.decisions:
            raise Violation(f"{where}: its command ran, and nobody allowed it")
        if not times and "output-available" in states:
            raise Violation(f"{where}: its command has an output, and never ran")
        if not told or told["state"] != "completed" or times:
            return
        if not ({"output-error", "output-denied"} & set(states)):
            raise Violation(f"{where}: its command never ran, and nothing says so: {calls}")

    def look_at_sandboxes(self) -> None:
        known = {process.pid for process in self.world.sandboxes()}
        for line in self.world.at_work(str(self.world.root)):
            pid, _, words = line.partition(": ")
            is_sandbox = "sandboxes.daemon " in words or "recorded_sandbox.py " in words
            if is_sandbox and int(pid) not in known:
                raise Violation(f"a sandbox that nobody knows: {line}")
