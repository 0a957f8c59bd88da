"""The link program: registers this machine, keeps its tunnel, serves its control plane."""

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
from links.daemon.asgi import Server
from links.daemon.client import TunnelClient, dial
from links.daemon.clock import TICK, Clock, SleepSense
from links.daemon.config import Config, machine_id
from links.daemon.control import ControlPlane
from links.daemon.direct import Heart
from links.daemon.errors import Again, NoToken, PairAgain, SignedOut, Superseded, TooOld
from links.daemon.listener import Listener
from links.daemon.pairing import ensure_paired
from links.daemon.sandbox_folders import Keeper
from links.daemon.sandbox_process import COMMAND, with_agents
from links.daemon.state import StateFile
from links.daemon.supervisor import Supervisor
from links.daemon.tokens import RenewalFailed, source_of
from links.wire import version
from links.wire.closing import NOT_REGISTERED, SUPERSEDED, TOO_OLD
from links.wire.messages import MachineStatus, Registered, Registration
from links.wire.signing import fingerprint
from links.wire.timing import SILENT_AFTER
from mesh.background import keep_running, run_in_background
from mesh.lib.backoff import Backoff
from mesh.version import VERSION

logger = logging.getLogger(__name__)

PROBE_AGAIN: Final = 60.0
PROBE_READY: Final = 3600.0  # a program that was signed in may be signed out


class Daemon:
    """One run of the program, from the first registration to the last goodbye."""

    def __init__(self, config: Config, *, clock: Clock | None = None) -> None:
        self._config = config
        self._clock = clock or Clock()
        self._absence = Absence(self._clock)
        self._machine_id = machine_id(config.home)
        self._tokens = source_of(config, self._clock)
        self._registered: Registered | None = None
        self._status: MachineStatus | None = None
        self._probing: asyncio.Task[None] | None = None
        self._probed_at = -PROBE_READY  # when those that were ready were asked, too
        self._is_doubted = False
        self._connection: TunnelClient | None = None
        self._has_been_up = False
        self._up_at: float | None = None
        self._state = StateFile(config.home, server=config.server, name=config.name)
        command = with_agents(config.sandbox_command or COMMAND, config.acp)
        self._supervisor = Supervisor(
            config.sandboxes,
            server_key=lambda: self._registered.server_key if self._registered else "",
            command=command,
        )
        control = ControlPlane(
            secret=lambda: self._registered.link_secret if self._registered else "",
            supervisor=self._supervisor,
            allowed=config.allowed,
            on_sign_in_missing=self._doubt,
        )
        self._server = Server(control)
        # Instead of the tunnel, where the server calls us by an address:
        self._listener = Listener(control, port=config.port)
        self._heart = Heart(
            config.server, address=config.address, tokens=self._tokens, clock=self._clock
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Stay linked until ``stopping``; then say goodbye. Sandboxes go on.

        Raises:
            Stop: the program can't go on by itself.
        """
        self._supervisor.reconcile()
        pruning = run_in_background(
            Keeper(self._supervisor).prune_for_ever(),
            what="sandboxes: pruning removed folders",
        )
        if self._config.address:
            await self._listener.start()  # before the server hears of the address
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
            await self._leave(work)
            self._state.close()

    async def _stay_linked(self) -> None:
        backoff = Backoff()
        while True:
            self._up_at = None
            self._state.tell("connecting")
            try:
                await self._link_once()
            except Again as exc:
                sense = SleepSense(self._clock)  # the lid may close while this is written down
                backoff.connected_for(self._stood_for())
                wait = backoff.next()
                logger.warning(
                    "link to %s: reconnecting in %.1f s: %s", self._config.server, wait, exc
                )
                self._state.tell("waiting", str(exc))
                await self._clock.sleep_or_wake(wait, sense)

    async def _link_once(self) -> None:
        """Register if need be, connect, and serve until the connection is gone.

        Raises:
            Again: always, when nothing worse has happened.
            Stop: see there.
        """
        try:
            token = await self._tokens.token()
            registered = await self._ensure_registered(token)
            connection = None if self._config.address else await self._dial(token)
        except (api.RegistrationFailed, RenewalFailed) as exc:
            raise Again(str(exc)) from exc
        except NoToken as exc:
            # At the first start the person reads it; later the file may come back.
            if not self._has_been_up:
                raise
            raise Again(str(exc)) from exc
        except (OSError, TimeoutError, WebSocketException) as exc:
            raise Again(f"The server can't be reached: {exc}.") from exc
        if connection is None:
            await self._be_called(registered)
        else:
            await self._serve(connection, registered)

    async def _ensure_registered(self, token: str) -> Registered:
        if self._registered is None:
            try:
                self._registered = await self._register(token)
            except SignedOut as exc:
                self._turned_away(token)
                raise Again(str(exc)) from exc
        return self._registered

    async def _dial(self, token: str) -> TunnelClient:
        try:
            return await dial(self._config.server, token=token)
        except InvalidStatus as exc:
            status = exc.response.status_code
            if status in (401, 403):
                self._turned_away(token if status == 401 else "")
            raise Again(f"The server refused: HTTP {status}.") from exc

    def _turned_away(self, token: str) -> None:
        """Ask for another token the next time, where there may be one.

        Raises:
            SignedOut: there is none, and at the first start the person reads it.
        """
        self._tokens.refused(token)
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
        )
        registered = await api.register(self._config.server, registration, token=token)
        logger.info("link to %s: registered as %s", self._config.server, self._config.name)
        return registered

    async def _be_called(self, registered: Registered) -> None:
        """Let the server call us, until it does not know us any more."""
        self._is_up()
        logger.info(
            "link to %s: accepting its requests at %s", self._config.server, self._config.address
        )
        self._state.tell("connected")
        self._start_probing()
        try:
            await self._heart.beat(registered, lambda: self._status)
        except api.NotRegistered as exc:
            self._registered = None
            raise Again(str(exc)) from exc

    async def _serve(self, connection: TunnelClient, registered: Registered) -> None:
        self._connection = connection
        hello = {
            "machineId": self._machine_id,
            "secretFingerprint": fingerprint(registered.link_secret),
            "serverKey": registered.server_key,
            "cliVersion": VERSION,
            "hostname": self._config.name,
            **self._absence.told(),
        }
        connection.attach(hello, on_open=self._server.serve)
        self._is_up()
        logger.info("link to %s: connected", self._config.server)
        self._state.tell("connected")
        self._start_probing()
        if self._status is not None:
            self._tell_status(self._status)
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
        self._judge_close(connection.close_code, connection.close_reason)

    def _is_up(self) -> None:
        self._has_been_up, self._up_at = True, self._clock.steady()

    def _stood_for(self) -> float:
        """Return for how long the last connection stood: an attempt that hung was none."""
        return 0.0 if self._up_at is None else self._clock.steady() - self._up_at

    def _judge_close(self, code: int | None, reason: str | None) -> None:
        if code == SUPERSEDED:
            raise Superseded
        if code == TOO_OLD:
            raise TooOld
        if code == NOT_REGISTERED:
            self._registered = None
        raise Again(f"The connection is gone ({code} {reason or 'without a word'}).")

    # Probe: only once the link is up, and never in its way

    def _start_probing(self) -> None:
        if self._probing is None:
            self._probing = self._in_background(self._probe, what="probing the agents' programs")

    def _doubt(self) -> None:
        """Have the programs that were ready asked again, too: one of them is not signed in."""
        self._is_doubted = True

    async def _probe(self) -> None:
        """Look at the agents' programs for as long as this runs.

        Each minute at those that were not ready; at the others each hour, or when one of them
        has turned out not to be signed in.
        """
        while True:
            now = self._clock.steady()
            is_due = self._is_doubted or now >= self._probed_at + PROBE_READY
            if is_due:
                self._is_doubted, self._probed_at = False, now
            if is_due or not probe.is_complete(self._status):
                probes = probe.probes_for(self._config.acp)
                self._take_status(await probe.look(self._status, probes=probes, anew=is_due))
            await self._clock.sleep(PROBE_AGAIN)

    def _take_status(self, found: MachineStatus) -> None:
        if found != self._status:
            self._status = found
            self._tell_status(found)
            self._state.tell_harnesses(found.harnesses)

    def _in_background(
        self, work: Callable[[], Awaitable[None]], *, what: str
    ) -> asyncio.Task[None]:
        """Do ``work``, and begin it again when it fails, until it returns or is cancelled."""
        what = f"link to {self._config.server}: {what}"
        return run_in_background(keep_running(work, what=what, sleep=self._clock.sleep), what=what)

    def _tell_status(self, status: MachineStatus) -> None:
        if self._connection is not None:
            self._connection.say_status(status.as_json())

    async def _leave(self, work: asyncio.Task[None]) -> None:
        """End in order; what fails on the way does not keep the rest from ending."""
        if self._probing is not None:
            self._probing.cancel()
        # Who was sent away has no goodbye to say: it would stand there instead of the reason.
        sent_away = isinstance(_error_of(work), Superseded | PairAgain | TooOld)
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
        Stop: the program can't go on by itself.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stopping.set)
    if await _paired(config, stopping):
        try:
            await Daemon(config).run(stopping)
        except TooOld as exc:
            raise TooOld(
                str(exc), command=exc.command or await api.find_command(config.server)
            ) from exc


async def _paired(config: Config, stopping: asyncio.Event) -> bool:
    """Pair the machine if it is not; say whether that was done before ``stopping``."""
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
    """Drop a connection that is silent, or that a sleeping machine has left behind."""
    sense = SleepSense(clock)
    heard_at, since = connection.heard_at, clock.steady()
    while True:
        await clock.sleep(TICK)
        if connection.heard_at != heard_at:
            heard_at, since = connection.heard_at, clock.steady()
        silence = clock.steady() - since
        if sense.slept():
            logger.info("link to %s: the machine was asleep; reconnecting", server)
        elif silence > SILENT_AFTER:
            logger.warning("link to %s: nothing received for %.0f s; reconnecting", server, silence)
        else:
            continue
        connection.transport.abort()
        return


def _error_of(task: asyncio.Task[None]) -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None
