"""A ticket that was used is never good again: not after many others, not after Redis forgot."""

from __future__ import annotations

from urllib.parse import urlsplit


def new_ticket(front):
    """A ticket of the preview of Ada's thread: the preview's host, and the ticket."""
    path = f"/api/home/decopilot/threads/{front.thread}/sandbox/preview"
    offer = front.rude().request("POST", path, front.ada.bearer).json()
    return urlsplit(offer["origin"]).netloc, offer["url"].partition("#ticket=")[2]


def enter(front, ticket):
    host, text = ticket
    return front.rude().request("POST", "/.mesh/enter", body=text.encode(), host=host).status


def test_many_other_tickets_do_not_make_one_good_again(front):
    first = new_ticket(front)
    assert [enter(front, first), enter(front, first)] == [204, 401]

    for _ in range(20):
        assert enter(front, new_ticket(front)) == 204

    assert enter(front, first) == 401


def test_nor_does_a_redis_that_has_forgotten_everything(front):
    ticket = new_ticket(front)
    assert enter(front, ticket) == 204

    if front.kind == "proxied":
        front.cluster.redis.flush()

    assert enter(front, ticket) == 401
