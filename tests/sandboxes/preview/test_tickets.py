"""A ticket of a preview is good once."""

import pytest
from django.core.cache import cache

from mesh.credentials import Credential
from sandboxes.preview.tickets import Grant, TicketUsed, make_ticket, read_cookie, use_ticket

GRANT = Grant(
    handle="h",
    user_id=1,
    agent_id="a",
    branch="main",
    kind="remote-user",
    sign_in=Credential(1, session_key="s").sealed(),
)


@pytest.mark.django_db
def test_a_ticket_becomes_a_cookie_once():
    ticket = make_ticket(GRANT)

    assert read_cookie(use_ticket(ticket, handle="h"), handle="h") == GRANT
    with pytest.raises(TicketUsed):
        use_ticket(ticket, handle="h")


@pytest.mark.django_db
def test_it_stays_used_however_many_others_are():
    ticket = make_ticket(GRANT)
    use_ticket(ticket, handle="h")
    for _ in range(320):
        use_ticket(make_ticket(GRANT), handle="h")
    cache.clear()

    with pytest.raises(TicketUsed):
        use_ticket(ticket, handle="h")


@pytest.mark.django_db
def test_one_for_another_origin_is_refused_and_not_used_up():
    ticket = make_ticket(GRANT)

    with pytest.raises(TicketUsed):
        use_ticket(ticket, handle="other")
    assert use_ticket(ticket, handle="h")
