"""Chats of a removed member that go to whoever removed them, once nothing in them runs."""

import pytest

from links.errors import LinkUnavailable
from links.models import Link
from mesh.models import Membership, Organization, User
from tests.threads.races import in_parallel
from threads import selectors, services
from threads.models import ApprovalRule, Run, Thread
from threads.services import Chats, UnknownChoice
from threads.targets import place_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner(org):
    user = User.objects.create_user("olga")
    Membership.objects.create(user=user, organization=org, role="owner")
    return user


@pytest.fixture
def elsewhere(ada):
    """Ada is a member of another organization, too, so that her machine stays signed in."""
    other = Organization.objects.create(slug="elsewhere", name="Elsewhere")
    Membership.objects.create(organization=other, user=ada, role="owner")


@pytest.fixture
def remove(owner, ada, org):
    """Return ``remove()``: Olga removes Ada, and takes over her chats."""

    def do():
        services.remove_member(
            actor=owner,
            organization=org,
            member_id=Membership.objects.get(user=ada, organization=org).pk,
            chats=Chats.HAND_OVER,
        )

    return do


def read_by(user, thread):
    return selectors.find_thread(viewer=user, thread_id=thread.pk)


def finish(run):
    services.claim_run(run_id=run.pk)
    services.finish_run(run_id=run.pk, state="failed", code="stuck")
    Run.objects.filter(pk=run.pk).update(stop_due_at=None)


def test_a_thread_at_rest_changes_hands(remove, say, thread, owner, ada):
    finish(say("a secret plan"))
    remove()

    assert (services.hand_over_threads(), services.hand_over_threads()) == (1, 0)

    found = read_by(owner, thread)
    assert found.owner == owner
    texts = [m["parts"] for m in selectors.page_of(found)["messages"]]
    assert "a secret plan" in str(texts)
    assert read_by(ada, thread) is None


def test_the_former_owner_s_machine_runs_nothing_for_the_heir(
    remove, say, thread, owner, elsewhere
):
    finish(say())
    remove()
    services.hand_over_threads()

    assert Link.objects.get().revoked_at is None
    with pytest.raises(LinkUnavailable):
        say_as(owner, Thread.objects.get(pk=thread.pk))
    assert Run.objects.count() == 1


def test_in_a_container_the_heir_goes_on_in_one_of_their_own(remove, served, owner):
    before = place_of(served).handle
    remove()
    services.hand_over_threads()

    run = say_as(owner, Thread.objects.get())

    assert run.executor == "server"
    assert place_of(run.thread).handle != before


def say_as(user, thread):
    message = services.NewMessage(client_id="c", parts=[{"type": "text", "text": "rm -rf ~"}])
    return services.post_message(author=user, thread=thread, message=message)


def test_what_the_former_owner_allowed_is_not_allowed_any_more(remove, thread, ada):
    ApprovalRule.objects.create(thread=thread, tool="Bash", scope="tool", created_by=ada)
    Thread.objects.update(approval_level="auto")
    remove()

    services.hand_over_threads()

    assert not ApprovalRule.objects.exists()
    assert Thread.objects.get().approval_level == ""


def test_a_thread_at_work_waits_until_its_machine_has_stopped_it(
    remove, say, thread, owner, elsewhere
):
    run = say()
    services.claim_run(run_id=run.pk)
    remove()
    assert services.hand_over_threads() == 0

    services.stop_revoked_runs()
    services.finish_run(run_id=run.pk, state="cancelled")
    assert Run.objects.get().stop_delivered_at is None
    assert services.hand_over_threads() == 0  # its machine may still work on it

    Run.objects.update(stop_delivered_at=Run.objects.get().stop_due_at)
    assert services.hand_over_threads() == 1
    assert read_by(owner, thread) is not None


def test_no_stop_is_waited_for_of_a_machine_that_was_signed_out(remove, say, thread, owner):
    run = say()
    services.claim_run(run_id=run.pk)
    remove()  # from her only organization
    services.stop_revoked_runs()
    services.finish_run(run_id=run.pk, state="cancelled")

    assert services.hand_over_threads() == 1


def leave(owner):
    Membership.objects.filter(user=owner).delete()


def be_shut_out(owner):
    User.objects.filter(pk=owner.pk).update(is_active=False)


def be_deleted(owner):
    owner.delete()


@pytest.mark.parametrize("go", [leave, be_shut_out, be_deleted])
def test_an_heir_who_is_gone_gets_nothing(remove, thread, owner, ada, go):
    remove()
    go(owner)

    assert services.hand_over_threads() == 0
    kept = Thread.objects.get()
    assert (kept.owner, kept.handing_to) == (ada, None)


def test_deleted_threads_and_those_elsewhere_stay(remove, thread, ada, agent, elsewhere):
    services.delete_thread(thread=thread)
    other = Thread.objects.create(
        owner=ada, organization=Organization.objects.get(slug="elsewhere"), agent=agent
    )
    remove()

    assert services.hand_over_threads() == 0
    assert set(Thread.objects.filter(owner=ada)) == {thread, other}


def test_who_leaves_hands_over_to_nobody(owner, ada, org, thread):
    with pytest.raises(UnknownChoice):
        services.remove_member(
            actor=ada,
            organization=org,
            member_id=Membership.objects.get(user=ada).pk,
            chats=Chats.HAND_OVER,
        )

    assert Membership.objects.filter(user=ada).exists()
    assert Thread.objects.get().handing_to is None


@pytest.mark.parametrize("turn", range(5))
@pytest.mark.django_db(transaction=True)
def test_of_several_processes_one_hands_it_over(remove, thread, turn):
    remove()

    done = in_parallel(*[services.hand_over_threads] * 3)

    assert sum(done) == 1
