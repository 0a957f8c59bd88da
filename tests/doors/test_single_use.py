"""A ticket that was used is never good again: not after many others, not after Redis forgot."""

from __future__ import annotations

from urllib.parse import urlsplit


def new_ticket(front):
    """A ticket of the preview of Ada's thread: host, and target with the ticket in it."""
    path = f"/api/home/decopilot/threads/{front.thread}/sandbox/preview"
    offer = front.rude().request("POST", path, front.ada.bearer)
    parts = urlsplit(offer.json()["url"])
    return parts.netloc, f"{parts.path}?{parts.query}"


def enter(front, ticket):
    host, target = ticket
    return front.rude().request("GET", target, host=host).status


def test_many_other_tickets_do_not_make_one_good_again(front):
    first = new_ticket(front)
    assert [enter(front, first), enter(front, first)] == [303, 401]

    for _ in range(320):
        assert enter(front, new_ticket(front)) == 303

    assert enter(front, first) == 401


def test_nor_does_a_redis_that_has_forgotten_everything(front):
    ticket = new_ticket(front)
    assert enter(front, ticket) == 303

    if front.kind == "proxied":
        front.cluster.redis.flush()

    assert enter(front, ticket) == 401
