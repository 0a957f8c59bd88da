"""Which ports are a project's own, and which is asked first."""

from __future__ import annotations

from mesh.process_tree import Process
from sandboxes.daemon.setup.announced_ports import Announcement
from sandboxes.daemon.setup.candidates import MOST, Candidate, candidates, own_processes
from sandboxes.daemon.setup.listening_ports import Listener


def ports(*, wanted=None, given=None, announced=(), listening=()):
    own = None if listening is None else [Listener(port) for port in listening]
    told = [Announcement(port) for port in announced]
    return [
        one.port for one in candidates(wanted=wanted, given=given, announced=told, listening=own)
    ]


def test_a_port_that_is_written_down_is_asked_first_even_if_another_owns_it():
    assert ports(wanted=9, given=9, announced=[3], listening=[3]) == [9, 3]


def test_then_the_one_that_was_given_the_announced_ones_and_the_rest():
    assert ports(given=5, announced=[4, 3], listening=[2, 3, 4, 5]) == [5, 4, 3, 2]


def test_what_is_only_announced_is_not_asked():
    """A project that prints another chat's address must not show that chat's page."""
    assert ports(given=5, announced=[22, 3], listening=[3]) == [3]


def test_where_the_system_does_not_say_who_listens_the_announced_ones_are_asked():
    assert ports(given=5, announced=[3], listening=None) == [5, 3]


def test_not_all_of_very_many_ports_are_asked():
    assert len(ports(listening=range(1000, 2000))) == MOST


def test_a_candidate_has_what_was_announced_of_it():
    told = Announcement(3, "/lab?token=x", is_secure=True)

    found = candidates(wanted=None, given=None, announced=[told], listening=[Listener(3)])

    assert found == [Candidate(3, "/lab?token=x", is_secure=True)]


def process(pid, parent, session):
    return Process(pid, str(pid), parent=parent, group=session, session=session, began=pid)


SANDBOX, STARTER, AGENT = 10, 20, 30
TABLE = {
    one.pid: one
    for one in [
        process(SANDBOX, 1, SANDBOX),
        process(STARTER, SANDBOX, STARTER),
        process(21, STARTER, STARTER),
        process(22, 21, 22),
        process(AGENT, SANDBOX, AGENT),
        process(31, AGENT, AGENT),  # a helper of the agent's program
        process(32, AGENT, 32),  # a command that the agent has started
        process(40, SANDBOX, 40),  # an orphan that left the start
        process(50, 1, 50),  # somebody else's
    ]
}


def own(*, starter=STARTER, marked=(), inside=()):
    return own_processes(TABLE, starter=starter, programs={AGENT}, marked=marked, inside=inside)


def test_what_the_start_has_started_is_its_own():
    assert own() == {STARTER, 21, 22}


def test_so_is_what_left_it():
    assert own(starter=None, marked={40}) == {40}


def test_so_is_a_server_that_the_agent_has_started_in_the_folder():
    assert own(starter=None, inside={32}) == {32}


def test_an_agent_s_own_program_and_its_helpers_are_not():
    assert own(starter=None, inside={AGENT, 31}) == set()


def test_what_ended_meanwhile_is_not():
    assert own(starter=None, inside={99}) == set()
