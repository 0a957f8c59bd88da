"""What every provider does unless it says otherwise, and the errors that it may raise.

``conformance.py`` checks the kinds themselves.
"""

import pytest

from sandboxes.providers.base import (
    DispatchRefused,
    NotNow,
    NotOffered,
    Place,
    SandboxEvent,
    SandboxProvider,
)

PLACE = Place("docker", None, "h-1")


class Minimal(SandboxProvider):
    """Defines what it must, and nothing else."""

    ensure = dispatch = attach = ack = cancel = answer = None


class Stoppable(Minimal):
    """Records how it is stopped."""

    def __init__(self):
        self.stopped = []

    async def stop(self, place, *, force=False):
        self.stopped.append((place, force))


@pytest.mark.parametrize("missing", sorted(SandboxProvider.__abstractmethods__))
def test_a_provider_must_define_how_runs_are_served(missing):
    methods = {name: None for name in SandboxProvider.__abstractmethods__ if name != missing}

    with pytest.raises(TypeError, match=missing):
        type("Incomplete", (SandboxProvider,), methods)()


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda p: p.request(PLACE, "GET", "tasks"), id="request"),
        pytest.param(
            lambda p: p.join(PLACE, "hmr", scope={}, receive=None, send=None), id="WebSocket"
        ),
        pytest.param(lambda p: p.stop(PLACE), id="stop"),
        pytest.param(lambda p: p.remove(PLACE, force=True), id="remove"),
        pytest.param(lambda p: p.discard(PLACE), id="discard"),
    ],
)
async def test_a_minimal_provider_says_what_it_does_not_offer(call):
    with pytest.raises(NotOffered) as refused:
        await call(Minimal())

    assert (refused.value.code, refused.value.status) == ("not_offered", 501)


def test_a_minimal_provider_opens_no_stream():
    with pytest.raises(NotOffered):
        Minimal().open(PLACE, "GET", "events")


async def test_a_minimal_provider_refuses_messages_in_the_middle_of_a_turn():
    with pytest.raises(DispatchRefused) as refused:
        await Minimal().steer(PLACE, run_id="r", steer_id="s", message={})

    assert refused.value.code == "not_steerable"


async def test_a_minimal_provider_has_no_files_and_nothing_to_release():
    provider = Minimal()

    assert await provider.read_file({"url": "/files/1"}) is None
    assert await provider.release(PLACE, run_id="r", fence=1) is None


@pytest.mark.parametrize("force", [True, False])
async def test_a_sandbox_without_files_of_its_own_is_removed_by_stopping_it(force):
    provider = Stoppable()

    await provider.remove(PLACE, force=force)

    assert provider.stopped == [(PLACE, force)]


async def test_a_sandbox_that_nobody_needs_is_never_discarded_by_force():
    provider = Stoppable()

    await provider.discard(PLACE)

    assert provider.stopped == [(PLACE, False)]


@pytest.mark.parametrize(
    ("body", "is_last"), [({"type": "done"}, True), ({"type": "text-delta"}, False), ({}, False)]
)
def test_only_done_is_the_last_event(body, is_last):
    assert SandboxEvent(1, body).is_last is is_last


def test_an_event_is_the_same_however_long_it_was_on_the_wire():
    assert SandboxEvent(1, {"type": "done"}, size=16) == SandboxEvent(1, {"type": "done"})


@pytest.mark.parametrize("kind", [DispatchRefused, NotNow])
def test_a_refusal_has_the_sandboxs_own_code_and_words(kind):
    refused = kind("bad_signature", "The signature is wrong.", "Pair again.")

    assert (refused.code, str(refused), refused.hint) == (
        "bad_signature",
        "The signature is wrong.",
        "Pair again.",
    )
    assert "log" in kind("x", "y").hint  # a refusal without a hint still says what to do
