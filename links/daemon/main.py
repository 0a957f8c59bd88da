"""The link program: registers this machine, keeps the tunnel open, serves the control plane."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from websockets.exceptions import InvalidStatus, WebSocketException

from links.daemon import api, probe
from links.daemon.absence import Absence
from links.daemon.agent_levels import AgentLevels
from links.daemon.asgi import Server
from links.daemon.client import TunnelClient, dial
from links.daemon.clock import TICK, Clock, SleepDetector
from links.daemon.config import Config, machine_id, own_command, separate
from links.daemon.control import ControlPlane
from links.daemon.direct import Heartbeats
from links.daemon.errors import (
    MachineCopied,
    NoToken,
    PairAgain,
    RetryLater,
    SignedOut,
    Superseded,
    TooOld,
)
from links.daemon.installation import installation
from links.daemon.listener import Listener
from links.daemon.pairing import ensure_paired
from links.daemon.sandbox_folders import SandboxFolders
from links.daemon.sandbox_process import COMMAND, with_agents
from links.daemon.service_environment import ServiceEnvironment
from links.daemon.state import StateFile
from links.daemon.supervisor import Supervisor
from links.daemon.tokens import RenewalFailed, source_of
from links.wire import timing, version
from links.wire.closing import NOT_REGISTERED, SUPERSEDED, TOO_OLD
from links.wire.messages import MachineStatus, Registered, Registration
from links.wire.signing import fingerprint
from links.wire.timing import SILENT_AFTER
from mesh.background import keep_running, run_in_background
from mesh.lib.backoff import Backoff
from mesh.version import VERSION

logger = logging.getLogger(__name__)

PROBE_AGAIN: Final = 60.0
PROBE_READY: Final = 3600.0  # a signed-in program may have been signed out since
ASK_AGAIN: Final = 300.0  # between two questions to the login shell while no program is ready


class Daemon:
    """One run of the program, from the first registration to the last goodbye."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock | None = None,
        environment: ServiceEnvironment | None = None,
    ) -> None:
        self._config = config
        self._clock = clock or Clock()
        self._absence = Absence(self._clock)
        self._machine_id = machine_id(config.home)
        self._tokens = source_of(config, self._clock)
        self._registered: Registered | None = None
        self._status: MachineStatus | None = None
        self._probing: asyncio.Task[None] | None = None
        self._probed_at = -PROBE_READY  # when the ready programs were last probed too
        self._is_reprobe_due = False
        self._environment = environment  # None: a terminal gave ours
        self._asked_at = self._clock.steady()  # when the login shell was last asked
        self._wanted = asyncio.Event()  # somebody wants the programs to be probed now
        self._connection: TunnelClient | None = None
        self._has_been_up = False
        self._up_at: float | None = None
        self._in_use_since: float | None = None  # refused, as another has this one's identity
        self._is_copy = False  # since this start it has an identity of its own
        self._levels = AgentLevels(config.home, config.acp)
        self._state = StateFile(
            config.home, server=config.server, name=config.name, is_service=environment is not None
        )
        command = with_agents(config.sandbox_command or COMMAND, config.acp)
        self._supervisor = Supervisor(
            config.sandboxes,
            server_key=lambda: self._registered.server_key if self._registered else "",
            command=command,
            environment=lambda: environment.digest if environment else "",
        )
        control = ControlPlane(
            secret=lambda: self._registered.link_secret if self._registered else "",
            supervisor=self._supervisor,
            allowed=config.allowed,
            on_not_ready=self._reprobe_ready,
        )
        self._server = Server(control)
        # Instead of the tunnel, if the server calls us at an address:
        self._listener = Listener(control, port=config.port)
        self._heartbeats = Heartbeats(
            config.server, address=config.address, tokens=self._tokens, clock=self._clock
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Stay linked until ``stopping``, then deregister. Sandboxes keep running.

        Raises:
            Stop: a person has to act before the program can continue.
        """
        self._supervisor.reconcile()
        pruning = run_in_background(
            SandboxFolders(self._supervisor).prune_periodically(),
            what="sandboxes: pruning removed folders",
        )
        if self._config.address:
            await self._listener.start()  # before the server learns the address
        work = asyncio.create_task(self._stay_linked())
        stop = asyncio.create_task(stopping.wait())
        renewing = self._in_background(self._tokens.keep_fresh, what="token renewal")
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            stop.cancel()
            renewing.cancel()
            pruning.cancel()
            await self._shut_down(work)
            self._state.close()

    async def _stay_linked(self) -> None:
        backoff = Backoff()
        while True:
            self._up_at = None
            self._state.set_phase("connecting")
            try:
                await self._link_once()
            except RetryLater as exc:
                detector = SleepDetector(self._clock)  # the lid may close while this is logged
                backoff.connected_for(self._connected_for())
                wait = backoff.next()
                logger.warning(
                    "link to %s: reconnecting in %.1f s: %s", self._config.server, wait, exc
                )
                self._state.set_phase("waiting", str(exc))
                await self._clock.sleep_or_wake(wait, detector)

    async def _link_once(self) -> None:
        """Register if necessary, connect, and serve until the connection ends.

        Raises:
            RetryLater: always, unless it raises Stop.
            Stop: a person has to act.
        """
        try:
            token = await self._tokens.token()
            registered = await self._ensure_registered(token)
            connection = None if self._config.address else await self._dial(token)
        except (api.RegistrationFailed, RenewalFailed) as exc:
            raise RetryLater(str(exc)) from exc
        except NoToken as exc:
            # On the first attempt the person is watching; later the file may reappear.
            if not self._has_been_up:
                raise
            raise RetryLater(str(exc)) from exc
        except (OSError, TimeoutError, WebSocketException) as exc:
            raise RetryLater(f"The server can't be reached: {exc}.") from exc
        if connection is None:
            await self._serve_directly(registered)
        else:
            await self._serve(connection, registered)

    async def _ensure_registered(self, token: str) -> Registered:
        if self._registered is None:
            try:
                self._registered = await self._register(token)
            except SignedOut as exc:
                self._on_unauthorized(token)
                raise RetryLater(str(exc)) from exc
        return self._registered

    async def _dial(self, token: str) -> TunnelClient:
        try:
            return await dial(self._config.server, token=token)
        except InvalidStatus as exc:
            status = exc.response.status_code
            if status in (401, 403):
                self._on_unauthorized(token if status == 401 else "")
            raise RetryLater(f"The server refused: HTTP {status}.") from exc

    def _on_unauthorized(self, token: str) -> None:
        """Use another token for the next attempt, if there may be one.

        Raises:
            SignedOut: there is none, and this is the first attempt, which the person watches.
        """
        self._tokens.mark_refused(token)
        if not (self._tokens.renews or self._has_been_up):
            raise SignedOut

    async def _register(self, token: str) -> Registered:
        status = self._status
        registration = Registration(
            machine_id=self._machine_id,
            cli_version=VERSION,
            protocol_version=version.CURRENT,
            capabilities=status.capabilities if status else probe.BASE,
            hostname=self._config.name,
            tunnel_url=self._config.address,
            harnesses=status.harnesses if status else {},
            installation=installation(self._config.home),
        )
        try:
            registered = await api.register(self._config.server, registration, token=token)
        except api.IdentityInUse as exc:
            self._separate_if_copied()
            raise RetryLater(str(exc)) from exc
        except api.TokenOfAnother as exc:
            if not self._is_copy:
                raise
            self._tokens.forget()  # the other machine's
            is_paired = self._tokens.renews
            raise MachineCopied(own_command(self._config.server) if is_paired else "") from exc
        self._in_use_since = None
        logger.info("link to %s: registered as %s", self._config.server, self._config.name)
        return registered

    def _separate_if_copied(self) -> None:
        """Become a machine of our own once another with this one's identity has been online for
        too long. After a new start of this one the server may count the earlier as online for a
        while."""
        now = self._clock.steady()
        self._in_use_since = self._in_use_since or now
        if now < self._in_use_since + 2 * timing.GRACE:
            return
        before, self._machine_id = self._machine_id, separate(self._config.home)
        self._in_use_since, self._is_copy = None, True
        logger.warning(
            "link to %s: these files are a copy of a machine that is online (%s); this one is a"
            " machine of its own now (%s)",
            self._config.server,
            before,
            self._machine_id,
        )

    async def _serve_directly(self, registered: Registered) -> None:
        """Serve requests at our address until the server no longer knows this machine."""
        self._mark_connected()
        logger.info(
            "link to %s: accepting its requests at %s", self._config.server, self._config.address
        )
        self._state.set_phase("connected")
        self._start_probing()
        try:
            await self._heartbeats.beat(registered, lambda: self._status)
        except api.NotRegistered as exc:
            self._registered = None
            raise RetryLater(str(exc)) from exc

    async def _serve(self, connection: TunnelClient, registered: Registered) -> None:
        self._connection = connection
        hello = {
            "machineId": self._machine_id,
            "secretFingerprint": fingerprint(registered.link_secret),
            "serverKey": registered.server_key,
            "cliVersion": VERSION,
            "hostname": self._config.name,
            "clock": int(self._clock.wall()),
            **self._absence.greeting_fields(),
        }
        connection.attach(hello, on_open=self._server.serve)
        self._mark_connected()
        logger.info("link to %s: connected", self._config.server)
        self._state.set_phase("connected")
        self._start_probing()
        if self._status is not None:
            self._report_status(self._status)
        watch = run_in_background(
            _watch(connection, self._clock, server=self._config.server),
            what=f"link to {self._config.server}: watching the connection",
        )
        try:
            await connection.wait_closed()
        finally:
            watch.cancel()
        self._connection = None
        connection.transport.abort()
        self._raise_for_close(connection.close_code, connection.close_reason)

    def _mark_connected(self) -> None:
        self._has_been_up, self._up_at = True, self._clock.steady()

    def _connected_for(self) -> float:
        """Return how long the last connection lasted; 0 for an attempt that never connected."""
        return 0.0 if self._up_at is None else self._clock.steady() - self._up_at

    def _raise_for_close(self, code: int | None, reason: str | None) -> None:
        if code == SUPERSEDED:
            raise Superseded
        if code == TOO_OLD:
            raise TooOld
        if code == NOT_REGISTERED:
            self._registered = None
        raise RetryLater(f"The connection was lost ({code} {reason or 'no reason given'}).")

    # Probing starts once the link is up, and never delays it

    def _start_probing(self) -> None:
        if self._probing is None:
            self._probing = self._in_background(self._probe, what="probing the agents' programs")

    def _reprobe_ready(self) -> None:
        """Probe the ready programs again too: a run showed that one is not ready."""
        self._is_reprobe_due = True

    def look_again(self) -> None:
        """Ask the login shell and probe all programs, as soon as possible."""
        self._is_reprobe_due = True
        self._wanted.set()

    async def _probe(self) -> None:
        """Probe the agents' programs until cancelled.

        Those that were not ready each minute; the others each hour, after a run has shown that
        one of them is not signed in or not there, and when one is gone, such as after an upgrade.
        """
        while True:
            self._wanted.clear()
            now, probes = self._clock.steady(), probe.probes_for(self._config.acp)
            is_gone = probe.is_one_gone(self._status, probes)
            is_due = self._is_reprobe_due or is_gone or now >= self._probed_at + PROBE_READY
            if is_due:
                self._is_reprobe_due, self._probed_at = False, now
                await self._ask_shell(now)
            elif not probe.is_any_ready(self._status) and now >= self._asked_at + ASK_AGAIN:
                await self._ask_shell(now)
            if is_due or not probe.is_complete(self._status):
                # The first look may be at a busy time, such as when the machine has just started.
                before = self._status or MachineStatus(
                    capabilities=(), harnesses=self._state.found_before
                )
                found = await probe.look(before, probes=probes, include_ready=is_due)
                self._take_status(self._levels.known(found))
                self._take_status(await self._levels.ask(found, again=is_due))
            await self._rest()

    async def _ask_shell(self, now: float) -> None:
        is_fresh = self._status is None  # asked just now, before the link was made
        if self._environment is not None and not is_fresh:
            self._asked_at = now
            await self._environment.refresh()

    async def _rest(self) -> None:
        """Wait until the next probe is due, or somebody wants one."""
        waits = [
            asyncio.ensure_future(self._clock.sleep(PROBE_AGAIN)),
            asyncio.ensure_future(self._wanted.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def _take_status(self, found: MachineStatus) -> None:
        if found != self._status:
            self._status = found
            self._report_status(found)
            self._state.set_harnesses(found.harnesses)

    def _in_background(
        self, work: Callable[[], Awaitable[None]], *, what: str
    ) -> asyncio.Task[None]:
        """Run ``work``, and restart it when it fails, until it returns or is cancelled."""
        what = f"link to {self._config.server}: {what}"
        return run_in_background(keep_running(work, what=what, sleep=self._clock.sleep), what=what)

    def _report_status(self, status: MachineStatus) -> None:
        if self._connection is not None:
            self._connection.send_status(status.as_json())

    async def _shut_down(self, work: asyncio.Task[None]) -> None:
        """Shut down in order; a step that fails does not keep the others from running."""
        if self._probing is not None:
            self._probing.cancel()
        # After a refusal don't deregister: "stopped" would replace the cause that the page shows.
        sent_away = isinstance(_error_of(work), MachineCopied | Superseded | PairAgain | TooOld)
        if self._registered is not None and not sent_away:
            with contextlib.suppress(api.RegistrationFailed):
                await api.deregister(self._config.server, self._registered)
        connection, self._connection = self._connection, None
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await self._server.close()
        await self._listener.stop()
        if connection is not None:
            await connection.close()


async def run(config: Config) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        Stop: a person has to act before the program can continue.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stopping.set)
    environment = None
    if config.as_service:
        environment = ServiceEnvironment(config.home, named=config.named_variables)
        await environment.refresh()  # before anything needs a proxy or a program
    if await _paired(config, stopping):
        try:
            daemon = Daemon(config, environment=environment)
            if environment is not None:
                loop.add_signal_handler(signal.SIGHUP, daemon.look_again)
            await daemon.run(stopping)
        except TooOld as exc:
            raise TooOld(
                str(exc), command=exc.command or await api.find_command(config.server)
            ) from exc


async def _paired(config: Config, stopping: asyncio.Event) -> bool:
    """Pair the machine if necessary; return whether it is paired before ``stopping``."""
    work = asyncio.create_task(ensure_paired(config))
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not work.done():
        work.cancel()
        return False
    work.result()
    return True


async def _watch(connection: TunnelClient, clock: Clock, *, server: str) -> None:
    """Abort a connection that is silent, or that was open while the machine slept."""
    detector = SleepDetector(clock)
    heard_at, since = connection.heard_at, clock.steady()
    while True:
        await clock.sleep(TICK)
        if connection.heard_at != heard_at:
            heard_at, since = connection.heard_at, clock.steady()
        silence = clock.steady() - since
        if detector.slept():
            logger.info("link to %s: the machine was asleep; reconnecting", server)
        elif silence > SILENT_AFTER:
            logger.warning("link to %s: nothing received for %.0f s; reconnecting", server, silence)
        else:
            continue
        connection.transport.abort()
        return


def _error_of(task: asyncio.Task[None]) -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None
