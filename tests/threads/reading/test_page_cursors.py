"""A cursor comes back as it went out; whatever else comes is refused in one way."""

from __future__ import annotations

import base64
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.errors import BadPageCursor
from threads.reading.page_cursors import MessageCursor, ThreadCursor

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


def packed(text):
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@given(position=st.integers(0, 2**53 - 1), is_newer=st.booleans())
def test_a_cursor_of_messages_comes_back_as_it_was(position, is_newer):
    cursor = MessageCursor(position, is_newer)

    assert MessageCursor.parse(str(cursor)) == cursor


@given(at=MOMENTS, thread_id=st.uuids(), is_newer=st.booleans())
def test_a_cursor_of_threads_comes_back_as_it_was(at, thread_id, is_newer):
    cursor = ThreadCursor(at, thread_id, is_newer)

    assert ThreadCursor.parse(str(cursor)) == cursor


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_other_text_is_refused(text):
    for kind in (MessageCursor, ThreadCursor):
        with suppress(BadPageCursor):  # and no other error
            assert str(kind.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(str(ThreadCursor(datetime.now(UTC), UUID(int=1))), id="of the other list"),
        pytest.param(packed('["m",0,-1]'), id="a negative number"),
        pytest.param(packed(f'["m",0,{2**63}]'), id="beyond what databases take"),
        pytest.param(packed('["m",0,true]'), id="no number"),
        pytest.param(packed('["m",2,1]'), id="an unknown direction"),
        pytest.param(packed('["m",0,1,1]'), id="too much"),
        pytest.param(packed("[" * 150), id="deep"),
        pytest.param("a" * 201, id="long"),
        pytest.param("ä", id="no ASCII"),
    ],
)
def test_what_is_no_cursor_of_messages_is_refused(text):
    with pytest.raises(BadPageCursor):
        MessageCursor.parse(text)


def test_a_cursor_of_threads_keeps_the_microsecond():
    at = datetime(2026, 1, 5, 9, 30, tzinfo=UTC) + timedelta(microseconds=1)

    assert ThreadCursor.parse(str(ThreadCursor(at, UUID(int=7)))).at == at
