"""The steps of a session: initialize, open or resume it, set its level, send the prompt."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from agents.harness import commands
from agents.harness.acp import failures, levels, version2
from agents.harness.acp import launch as lines
from agents.harness.acp.agents import Agent, known_as
from agents.harness.acp.choices import Choices
from agents.harness.acp.endings import Endings
from agents.harness.acp.foreground import Foreground
from agents.harness.acp.permissions import Question
from agents.harness.acp.session import SessionFacts
from agents.harness.acp.signing_in import way_of
from agents.harness.acp.usage import Meter
from agents.harness.base import AUTO, PLAN, Again, Launch, Opens, Out, TurnInput, words_of
from agents.harness.cli_adapter import CliAdapter, Message
from agents.harness.failures import Facts
from agents.harness.lines import list_of, object_of, text_of
from agents.harness.mcp import own_silence_in_words, servers_of
from agents.harness.rpc import Rpc

FINISH_REASONS = {"max_tokens": "length", "max_turn_requests": "length"}
# After so many returns to the level of one turn, the agent is stopped.
MOST_RETURNS = 3
LONGEST_VERSION = 60  # characters
CANCELLED = -32800  # the code of a request that was cancelled
# They open a session. An agent starts its MCP servers before it responds, some already before
# they are initialized.
OPENING = frozenset({"session/new", "session/load", "session/resume", "session/fork"})
# Updates that say nothing of the message: all others come once the agent has begun with it.
_OF_SESSION = ("available_commands_update", "config_option_update", "current_mode_update")


class SessionSteps(CliAdapter[Question]):
    """Takes a conversation to its prompt, and from the response to its end.

    A subclass defines what the agent's own requests and updates mean.
    """

    _endings: Endings

    def __init__(self, agent: Agent) -> None:
        super().__init__()
        self.agent = agent
        self.kind, self.title = agent.kind, agent.title
        self._meter = Meter(is_total=self.agent.totals)
        self._rpc = Rpc({"jsonrpc": "2.0"})
        self._version = 1  # of the protocol, as the program has answered
        self._is_refused = False  # it refused to speak of version 2 at all
        self._foreground = Foreground()
        self._agent_version = ""
        self._capabilities: Message = {}
        self._sign_in = ""  # how, as the agent says it
        self._facts = SessionFacts()
        self._choices = Choices(agent)
        self._has_news = False  # what a person can choose has changed between two turns
        self._opens = ""  # the request by which the program opens our session now
        self._has_begun = False  # and this one has worked on a message
        self._is_told_waiting = False  # for MCP servers of the person's own settings
        self._is_connected = False  # the program has our session
        self._is_new = False  # and no message was sent in it yet
        self._is_resumed = False  # and it may still be replayed
        self._opened_at: levels.Level = "auto"  # the level at which the session was opened
        self._has_instructions = True  # the session has the agent's
        self._is_guess = False  # the prompt may be a command: the program has announced none yet
        self._wanted: dict[str, str | bool] = {}  # what the level of this turn sets
        self._unset: deque[str] = deque()  # what of it is still to be set
        self._is_setting = False  # a request for it is open
        # What is being set, and its old value.
        self._setting: tuple[str, str | bool | None] = ("", None)
        self._is_prompted = False  # updates belong to this turn, not to a replayed history
        self._is_restarting = False
        self._returns = 0  # how often the agent left the turn's level by itself

    @property
    def is_starting(self) -> bool:
        return self._turn is not None and not self._is_prompted

    @property
    def opens(self) -> Opens:
        if self._turn is None or not self._opens:
            return ""
        opens: dict[str, Opens] = {"initialize": "program", "session/prompt": "message"}
        return opens.get(self._opens, "session")

    def tell_waiting(self, servers: Sequence[str]) -> list[Out]:
        if not self.opens or self._is_interrupted or self._is_told_waiting:
            return []
        self._is_told_waiting = True
        self._answer.waiting(servers)
        return self._outputs()

    def leave_out(self, servers: Sequence[str]) -> list[Out]:
        if not self.opens or self._is_interrupted:
            return []
        assert self._turn is not None
        self._stop_waiting()
        self._tell_left_out(servers, is_known=False)
        self._restart(replace(self._turn, left_out=(*self._turn.left_out, *servers)))
        return self._outputs()

    def _stop_waiting(self) -> None:
        if self._is_told_waiting:
            self._answer.waiting([])
        self._is_told_waiting = False

    def _note_begun(self, message: Message) -> None:
        """Take what an agent sends while it may wait with our message; most of it says that it has
        begun."""
        update = object_of(object_of(message, "params"), "update")
        if "method" in message and text_of(update, "sessionUpdate") not in _OF_SESSION:
            self._opens, self._has_begun = "", True
            self._stop_waiting()

    def _tell_left_out(self, servers: Sequence[str], *, is_known: bool) -> None:
        text = own_silence_in_words(self.title, servers, is_known=is_known)
        self._notice("mcp_server", text)

    def _restart(self, turn: TurnInput) -> None:
        """Start another program, in which the same answer continues."""
        self._is_restarting = True
        self._on_gone()
        self._answer.put(Again(turn))

    @property
    def version(self) -> str:
        """The version of the program, as it introduces itself; empty before."""
        return self._agent_version

    def find_levels(self) -> list[levels.Level] | None:
        """Return the levels that the agent can hold; ``None``: only its session can tell, and it
        has none yet."""
        if self.agent.levels is None and not (self._is_connected and self._session):
            return None
        return levels.held(self.agent, self._facts)

    def launch(self, turn: TurnInput) -> Launch:
        return lines.launch(self.agent, turn)

    def _key(self, turn: TurnInput) -> str:
        model = self._choices.key_model(turn, self._facts)
        return lines.key(self.agent, turn, model)

    def begin(self, turn: TurnInput) -> list[Out]:
        if self._is_restarting:  # the same answer continues
            self._turn, self._is_restarting = turn, False
        else:
            self._open(turn)
            if turn.left_out and not self._is_connected:
                self._tell_left_out(turn.left_out, is_known=True)
        self._is_prompted = False
        if self._level == PLAN and levels.is_known_not_to_plan(self.agent):
            self._fail_to_plan()
            return self._outputs()
        if self._is_connected:
            if self._has_news:
                self._offer()
            self._meter.begin()
            self._choose()
        else:
            self._choices.launch(turn)
            self._is_refused = False
            self._initialize()
        return self._outputs()

    def _initialize(self) -> None:
        """Offer the newest version of the protocol that this turn can have.

        In version 2 an agent works by itself outside of our turns, which older servers don't take.
        """
        assert self._turn is not None
        is_newest = self._turn.takes_unasked and not self._is_refused
        version = version2.VERSION if is_newest else lines.PROTOCOL_VERSION
        self._opens = "initialize"
        self._answer.put(self._rpc.request("initialize", lines.hello(version)))

    def _on_gone(self) -> None:
        self._endings.release()
        self._is_connected, self._opens, self._is_told_waiting = False, "", False
        self._has_begun = False
        self._facts = SessionFacts()
        self._version, self._foreground = 1, Foreground()
        self._rpc.forget()

    def _on_response(self, method: str, message: Message) -> None:
        if method == self._opens:
            self._opens = ""
            if method != "initialize" or "error" in message:
                self._stop_waiting()
        handle, result = _STEPS.get(method), object_of(message, "result")
        if handle is None:
            return
        if "error" in message:
            self._on_refusal(method, object_of(message, "error"))
        elif self._version == 1:
            handle(self, result)
        elif method == "session/prompt" and "stopReason" not in result:
            self._foreground.taken()  # its end is told by the session's state
        else:
            handle(self, version2.with_options(result))

    def _find_facts(self) -> Facts:
        """Return what is known of the agent, for the words of a failure."""
        assert self._turn is not None
        model = self._facts.find_model() or lines.model_of(self.agent, self._turn)
        return failures.facts_of(self.agent, sign_in=self._sign_in, model=model)

    def _request(self, method: str, params: Message) -> None:
        if method in OPENING:
            self._opens = method
        if self._version == version2.VERSION:
            params = version2.request(method, params)
        self._answer.put(self._rpc.request(method, params))

    def _on_refusal(self, method: str, error: Message) -> None:
        assert self._turn is not None
        if method in ("session/fork", "session/load", "session/resume"):
            self._start_afresh()
        elif self._choices.is_setting:
            self._chosen(self._choices.refuse(self._facts, error))
        elif method in ("session/set_mode", "session/set_config_option"):
            self._on_not_set(error)
        elif method == "initialize" and self._turn.takes_unasked and not self._is_refused:
            self._is_refused = True  # some refuse a version that they don't know
            self._initialize()
        elif self._is_interrupted or error.get("code") == CANCELLED:
            self._answer.abort(self._metadata())
        elif method == "session/prompt" and self._answer.is_silent and self._was_no_command():
            self._send(commands.as_words(self._turn))
        else:
            failure = failures.failure_of(self._find_facts(), error, self._endings.said)
            self._fail(*failure, is_start=method != "session/prompt")

    def _on_initialized(self, result: Message) -> None:
        assert self._turn is not None
        self._version = version2.VERSION if version2.is_spoken(result) else 1
        if self._version == version2.VERSION:
            result = version2.initialized(result)
        info = object_of(result, "agentInfo")
        self._agent_version = text_of(info, "version")[:LONGEST_VERSION]
        if self._is_other_than_launched(text_of(info, "name")):
            self._restart(self._turn)
            return
        self._capabilities = object_of(result, "agentCapabilities")
        self._sign_in = way_of(self.agent, list_of(result, "authMethods"))
        if not self._turn.resume_session_ref:
            self._open_session()
        elif method := self._resume_method():
            self._session = self._turn.resume_session_ref
            params = self._session_params() | {"sessionId": self._session}
            self._request(method, params)
        else:
            self._start_afresh()

    def _is_other_than_launched(self, agent_info: str) -> bool:
        """Learn from an agent's name what the table knows of it; return whether it would have
        been started in another way for this turn."""
        assert self._turn is not None
        launched, self.agent = self.agent, known_as(self.agent, agent_info)
        before, now = (lines.launch(each, self._turn) for each in (launched, self.agent))
        return (before.args, before.env, before.refuses) != (now.args, now.env, now.refuses)

    def _resume_method(self) -> str:
        """Return the method that resumes a session, preferably without replaying its history."""
        assert self._turn is not None
        methods = object_of(self._capabilities, "sessionCapabilities")
        if self._turn.forks_session:
            return "session/fork" if "fork" in methods else ""
        if "resume" in methods:
            return "session/resume"
        return "session/load" if self._capabilities.get("loadSession") is True else ""

    def _open_session(self) -> None:
        assert self._turn is not None
        self._session = ""
        self._request("session/new", self._session_params())

    def _session_params(self) -> Message:
        assert self._turn is not None
        self._opened_at = self._level
        return lines.session(self.agent, self._turn, takes_http=self._takes_http)

    @property
    def _takes_http(self) -> bool:
        """Whether it accepts MCP servers over HTTP, which the protocol leaves optional."""
        return object_of(self._capabilities, "mcpCapabilities").get("http") is True

    def _start_afresh(self) -> None:
        self._start_over()
        self._open_session()

    def _on_session(self, result: Message) -> None:
        self._foreground = Foreground()
        self._is_new = not self._session
        self._is_resumed = not self._is_new
        self._session = text_of(result, "sessionId") or self._session
        self._is_connected = True
        # Some announce their commands before they respond.
        known = self._facts.commands, self._facts.command_names
        self._facts = SessionFacts(commands=known[0], command_names=known[1])
        self._facts.open(result)
        self._offer()
        self._meter = Meter(is_total=self.agent.totals)
        if not self._is_new:
            self._meter.resume()
        self._meter.begin()
        self._answer.metadata(self._metadata())
        assert self._turn is not None
        for server in () if self._takes_http else servers_of(self._turn):
            self._note_unreachable(server.name)
        self._choose()

    @abstractmethod
    def _finish_calls(self) -> None:
        """End the calls whose end the agent did not report."""

    def _offer(self) -> None:
        """Say what the person can choose from: models, efforts, modes and commands; and of an agent
        that the server finds in no table, the levels that it can hold."""
        self._has_news = False
        offered = self._facts.offered()
        if not self.agent.is_listed and (held := self.find_levels()) is not None:
            offered["levels"] = held
        if offered:
            self._answer.data("agent-options", offered, transient=True)

    def _choose(self) -> None:
        """Set the session to the chosen model and effort, then to the turn's level."""
        assert self._turn is not None
        self._choices.begin(self._turn, self._facts)
        self._chosen("")

    def _chosen(self, told: str) -> None:
        """Continue with the next choice, after one of which the person may have to be ``told``."""
        if told:
            self._notice("model_changed", told)
        while isinstance(step := self._choices.next(self._facts), str):
            self._notice("model_changed", step)
        if step is None or self._is_interrupted:
            self._enter_level()
        else:
            self._request(step[0], {"sessionId": self._session} | step[1])

    def _on_choice(self, result: Message) -> None:
        before = self._facts.offered()
        told = self._choices.take(self._facts, result)
        if self._facts.offered() != before:
            self._offer()
        self._chosen(told)

    @property
    def _level(self) -> levels.Level:
        assert self._turn is not None
        return levels.level_of(self._turn)

    def _enter_level(self) -> None:
        """Set the session to the turn's level, then send the prompt.

        In a resumed session the mode is always set: the agent may still be replaying the earlier
        conversation, and it responds once that is done.
        """
        assert self._turn is not None
        wanted = levels.wanted(self.agent, self._level, self._facts)
        if wanted is None:
            self._fail_to_plan()
            return
        if self._level == levels.READONLY and levels.may_not_ask(self.agent, self._facts):
            text = f"{self.title} may not ask before each change: what it did unasked is marked."
            self._notice("level_not_asked", text)
        self._wanted, self._returns, self._is_setting = wanted, 0, False
        self._unset = deque(name for name in wanted if self._has_to_set(name))
        self._set_next()

    def _has_to_set(self, name: str) -> bool:
        """Return whether the agent's last word does not settle it. What it says of a new session
        does; later a mode may have changed without a word, which matters where it has to ask. Some
        agents take a tenth of a second to be set to what they are."""
        current, is_auto = self._facts.current(name), self._level == AUTO
        if current is None and is_auto:
            return False
        is_settled = self._is_new or (is_auto and not self._is_resumed)
        return current != self._wanted[name] or not is_settled

    def _set_next(self) -> None:
        if self._is_interrupted and self._is_prompted:
            return
        if self._is_interrupted:
            self._prompt()
        elif self._unset:
            name = self._unset.popleft()
            method, params = levels.request(self._facts, name, self._wanted[name])
            self._setting = (name, self._facts.current(name))
            if method == "session/set_mode":
                self._facts.mode = ""  # until it responds, or says it in an update
            self._is_setting = True
            self._request(method, {"sessionId": self._session} | params)
        elif unheld := self._find_unheld():
            self._fail_to_hold(unheld)
        elif not self._is_prompted:
            self._prompt()

    def _find_unheld(self) -> str:
        """Return what is not as the level wants it; at "auto" nothing has to be."""
        if self._level == AUTO:
            return ""
        facts, wanted = self._facts, self._wanted
        return next((name for name in wanted if facts.current(name) != wanted[name]), "")

    def _on_set(self, result: Message) -> None:
        """Take a response; one that says nothing counts, unless an update said otherwise."""
        if self._choices.is_setting:
            self._on_choice(result)
            return
        self._is_setting = False
        name, before = self._setting
        is_told = isinstance(result.get("configOptions"), list)
        self._facts.take_options(result)
        current = self._facts.current(name)
        if current in ("", None) or (not is_told and not self._facts.mode and current == before):
            self._facts.assume(name, self._wanted[name])
        self._set_next()

    def _on_not_set(self, error: Message) -> None:
        self._is_setting = False
        name, before = self._setting
        if before is not None:
            self._facts.assume(name, before)
        if self._level == AUTO or self._is_interrupted:
            self._set_next()
        else:
            self._fail_to_hold(name, text_of(error, "message"))

    def _fail_to_plan(self) -> None:
        text = f"{self.title} has no mode in which it changes nothing, so nothing was sent to it."
        self._fail("level_unavailable", text)

    def _watch_level(self) -> None:
        """Put the agent back if it has left the turn's level by itself, for a looser one; stop it
        if it does not stay."""
        if not self._is_prompted or self._turn is None or self._is_setting:
            return
        if not levels.is_looser(self.agent, self._level, self._facts):
            return
        self._returns += 1
        if self._returns > MOST_RETURNS:
            self._fail_to_hold(self._find_unheld())
            return
        self._notice("level_changed", f"{self.title} left its mode by itself; it was put back.")
        self._unset = deque(self._wanted)
        self._set_next()

    def _fail_to_hold(self, name: str, why: str = "") -> None:
        if self._is_prompted:
            self._answer.put(self._rpc.notify("session/cancel", {"sessionId": self._session}))
            text = f"{self.title} left its {name} “{self._wanted[name]}”, so it was stopped."
            self._fail("level_not_held", f"{text} {why}".rstrip(), is_start=True)
            return
        what = f"{name} “{self._wanted[name]}”"
        text = f"{self.title} did not switch to its {what}, so nothing was sent to it."
        self._fail("level_not_held", f"{text} {why}".rstrip())

    def _prompt(self) -> None:
        assert self._turn is not None
        if self._is_interrupted:
            self._answer.abort(self._metadata())
            return
        can_see = object_of(self._capabilities, "promptCapabilities").get("image") is True
        if not can_see and lines.has_pictures(self._turn):
            self._notice(
                "files_not_taken", f"{self.title} takes no pictures: it knows their names."
            )
        self._has_instructions &= not self._is_new
        self._is_new, self._is_resumed, self._is_prompted = False, False, True
        names = self._facts.command_names
        text = words_of(self._turn.last_message)
        self._is_guess = names is None and commands.may_be_command(text)
        self._send(commands.spoken(self._turn, names or ()) if not self._is_guess else self._turn)

    def _send(self, turn: TurnInput) -> None:
        """Send the turn's message; instructions, which would hide a command, wait for words."""
        can_see = object_of(self._capabilities, "promptCapabilities").get("image") is True
        is_command = commands.looks_like_command(words_of(turn.last_message))
        is_first = not self._has_instructions and not is_command
        self._has_instructions |= is_first
        blocks = lines.prompt(turn, can_see=can_see, is_new=is_first)
        self._foreground.prompt()
        own = self.agent.own_servers
        if own is not None and own.waits_in == "message" and not self._has_begun:
            self._opens = "session/prompt"
        self._request("session/prompt", {"sessionId": self._session, "prompt": blocks})

    def _was_no_command(self) -> bool:
        """Return, once, whether the prompt was taken for a command that there is not."""
        assert self._turn is not None
        is_guess, self._is_guess = self._is_guess, False
        names = self._facts.command_names or ()
        return is_guess and not commands.is_command(words_of(self._turn.last_message), names)

    def _on_prompted(self, result: Message) -> None:
        assert self._turn is not None
        metadata = self._metadata() | self._meter.metadata(result)
        reason = text_of(result, "stopReason")
        if self._is_interrupted:
            self._endings.release()
        if self._is_interrupted or reason == "cancelled":
            self._answer.abort(metadata)
        elif failure := self._endings.failure():
            self._fail(*failure, metadata)
        elif reason == "refusal":
            self._finish_calls()
            self._refuse(metadata=metadata | self._metadata())
        elif self._answer.is_silent and self._was_no_command():
            self._send(commands.as_words(self._turn))
        else:
            self._finish_calls()
            self._note_silence()
            metadata |= self._metadata()  # what the last calls add
            self._answer.finish(FINISH_REASONS.get(reason, "stop"), metadata)


_STEPS: dict[str, Callable[[SessionSteps, Message], None]] = {
    "initialize": SessionSteps._on_initialized,
    "session/fork": SessionSteps._on_session,
    "session/load": SessionSteps._on_session,
    "session/new": SessionSteps._on_session,
    "session/prompt": SessionSteps._on_prompted,
    "session/resume": SessionSteps._on_session,
    "session/set_config_option": SessionSteps._on_set,
    "session/set_mode": SessionSteps._on_set,
    "session/set_model": SessionSteps._on_set,
}
