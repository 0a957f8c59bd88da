"""Everybody's rights are asked for together, and who lost one is let go."""

import asyncio

import pytest
from django.db import OperationalError

from mesh import connection_checks
from mesh.connection_checks import (
    Right,
    RightLost,
    Watch,
    hold,
    pieces_while_held,
    until_lost,
    while_held,
)
from tests.waiting import auntil


class Rights:
    """A check that a test can turn; notes how often it was asked, and for how many."""

    def __init__(self):
        self.gone, self.asked = set(), []
        self.error = None

    def __call__(self, keys):
        self.asked.append(len(keys))
        if self.error:
            raise self.error
        return set(keys) - self.gone


@pytest.fixture
def rights():
    return Rights()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(connection_checks, "LOOK_EVERY", 0.01)


async def endless():
    number = 0
    while True:
        yield number
        number += 1
        await asyncio.sleep(0.001)


async def test_a_thousand_readers_are_asked_for_in_one_question(rights):
    book = Watch()
    for number in range(1000):
        book._held.add(connection_checks.Held([Right(rights, number)]))

    await book.look()

    assert rights.asked == [1000]


async def test_the_same_right_of_many_is_asked_for_once(rights):
    book = Watch()
    for _ in range(1000):
        book._held.add(connection_checks.Held([Right(rights, "ada")]))

    await book.look()

    assert rights.asked == [1]


async def test_a_connection_learns_which_right_it_lost(rights):
    first, second = Right(rights, 1), Right(rights, 2)
    with hold(first, second) as held:
        rights.gone = {2}

        assert await asyncio.wait_for(held.wait(), 60) == {second}
        assert held.rights == {first}


async def test_a_right_that_is_added_is_asked_for_too(rights):
    with hold() as held:
        held.rights.add(Right(rights, 1))
        rights.gone = {1}

        assert await asyncio.wait_for(held.wait(), 60) == {Right(rights, 1)}


@pytest.mark.parametrize("error", [OperationalError("away"), RuntimeError("a bug")], ids=str)
async def test_where_nothing_can_be_asked_everybody_stays(rights, error):
    with hold(Right(rights, 1)) as held:
        rights.error = error
        await auntil(lambda: len(rights.asked) >= 2)
        assert not held.lost

        rights.error, rights.gone = None, {1}
        assert await asyncio.wait_for(held.wait(), 60)


async def test_nobody_is_asked_for_once_all_have_left(rights):
    with hold(Right(rights, 1)):
        await auntil(lambda: rights.asked)
    book = connection_checks._of_this_loop()

    await auntil(lambda: book._looking.done())
    assert not book._held


async def test_a_stream_ends_with_its_right(rights):
    pieces = endless()
    seen = []

    async def read():
        async for piece in pieces_while_held(pieces, Right(rights, 1)):
            seen.append(piece)
            rights.gone = {1}

    with pytest.raises(RightLost) as lost:
        await read()
    assert lost.value.lost == {Right(rights, 1)}
    assert seen
    with pytest.raises(StopAsyncIteration):
        await anext(pieces)  # it was closed


async def test_a_stream_that_says_nothing_ends_too(rights):
    async def silent():
        await asyncio.Event().wait()
        yield

    rights.gone = {1}
    assert [piece async for piece in until_lost(silent(), Right(rights, 1))] == []


async def test_a_stream_ends_on_its_own(rights):
    async def short():
        yield 1
        yield 2

    assert [piece async for piece in until_lost(short(), Right(rights, 1))] == [1, 2]


async def test_a_reader_that_leaves_ends_what_it_read(rights):
    ended = asyncio.Event()

    async def source():
        try:
            while True:
                yield 1
                await asyncio.sleep(0)
        finally:
            ended.set()

    pieces = until_lost(source(), Right(rights, 1))
    await anext(pieces)
    await pieces.aclose()

    assert ended.is_set()


async def test_work_is_cancelled_with_its_right(rights):
    ended = asyncio.Event()

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    rights.gone = {1}
    with pytest.raises(RightLost):
        await while_held(work(), Right(rights, 1))
    assert ended.is_set()


async def test_work_that_is_done_in_time_is_done(rights):
    async def work():
        return 5

    assert await while_held(work(), Right(rights, 1)) == 5


async def test_work_that_fails_fails(rights):
    async def work():
        raise ValueError

    with pytest.raises(ValueError):
        await while_held(work(), Right(rights, 1))
