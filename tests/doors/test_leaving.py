"""Who is no longer of the organization runs nothing there: neither what goes on nor what waits."""

from __future__ import annotations

import pytest

from tests.doors.hostile import HostileLaptop
from tests.running import say
from tests.waiting import until

STATES = """
from threads.models import Run
answer(sorted(Run.objects.filter(thread={thread!r}).values_list("state", flat=True)))
"""
LEAVE = "from mesh.models import Membership; Membership.objects.filter(user__username={name!r})"
SHUT_OUT = "from mesh.models import User; User.objects.filter(username={name!r})"


@pytest.mark.parametrize(
    ("name", "go"),
    [
        pytest.param("carol", f"{LEAVE}.delete(); answer(0)", id="left"),
        pytest.param("dan", f"{SHUT_OUT}.update(is_active=False); answer(0)", id="shut out"),
    ],
)
def test_runs_end_with_the_membership(front, name, go):
    assert front.thread  # with it came the organization's agent
    person = front.person(name, org="home")
    laptop = HostileLaptop(front, person)
    try:
        laptop.answers(200, pieces=[b": welcome\n\n"], goes_on=True)
        with front.client(person) as api:
            thread = str(api.post("/threads", json={}).json()["id"])
            for text in ("one", "two"):
                assert say(api, thread, text, harnessId="demo").status_code == 202
        states = STATES.format(thread=thread)
        until(lambda: front.shell(states) != ["queued", "queued"], what="a run")

        front.shell(go.format(name=name))

        until(lambda: front.shell(states) == ["cancelled"] * 2, what="the end of both")
    finally:
        laptop.close()
