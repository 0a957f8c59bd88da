"""Who may change whose role, and hand an organization over; also at the same time."""

import pytest

from mesh import services
from mesh.invitations import RoleAboveOwn, make_invitation
from mesh.lib.errors import NotFound
from mesh.lib.roles import may_give
from mesh.models import Invitation, Membership, Organization, Role, User
from mesh.services import LastOwner, MemberInactive, OwnsAlready
from tests.threads.races import in_parallel

pytestmark = pytest.mark.django_db


@pytest.fixture
def join(org):
    """Return ``join(name, role)``: a new member of the organization, as a membership."""

    def make(name, role):
        user = User.objects.create_user(name)
        return Membership.objects.create(user=user, organization=org, role=role)

    return make


def roles():
    return dict(Membership.objects.values_list("user__username", "role"))


def change(actor, subject, role):
    return services.change_role(
        actor=actor.user, organization=subject.organization, member_id=subject.pk, role=Role(role)
    )


def end(actor, subject):
    return services.end_membership(
        actor=actor.user, organization=subject.organization, member_id=subject.pk
    )


def hand_over(actor, subject):
    return services.hand_over(
        actor=actor.user, organization=subject.organization, member_id=subject.pk
    )


@pytest.mark.parametrize("given", Role.values)
@pytest.mark.parametrize("present", Role.values)
@pytest.mark.parametrize("own", Role.values)
def test_a_role_is_given_by_the_table_and_by_nothing_else(join, own, present, given):
    join("olga", "owner")
    actor, subject = join("ann", own), join("sam", present)
    may = may_give(own, present) and may_give(own, given)

    if may:
        assert change(actor, subject, given).role == given
        assert roles()["sam"] == given
        return
    with pytest.raises(RoleAboveOwn):
        change(actor, subject, given)
    assert roles() == {"olga": "owner", "ann": own, "sam": present}


@pytest.mark.parametrize("present", Role.values)
@pytest.mark.parametrize("own", Role.values)
def test_a_member_is_removed_by_the_table_and_by_nothing_else(join, own, present):
    join("olga", "owner")
    actor, subject = join("ann", own), join("sam", present)

    if may_give(own, present):
        assert end(actor, subject) == subject.user
        assert "sam" not in roles()
        return
    with pytest.raises(RoleAboveOwn):
        end(actor, subject)
    assert roles()["sam"] == present


@pytest.mark.parametrize("own", Role.values)
def test_everybody_may_leave_where_an_owner_stays(join, own):
    join("olga", "owner")
    leaver = join("sam", own)

    end(leaver, leaver)

    assert roles() == {"olga": "owner"}


@pytest.mark.parametrize("do", [end, lambda actor, subject: change(actor, subject, "admin")])
def test_the_last_owner_stays_one(join, do):
    owner = join("olga", "owner")
    join("ann", "admin")

    with pytest.raises(LastOwner):
        do(owner, owner)
    assert roles()["olga"] == "owner"


def test_an_owner_who_can_t_sign_in_is_none(join):
    owner, other = join("olga", "owner"), join("otto", "owner")
    User.objects.filter(pk=other.user_id).update(is_active=False)

    with pytest.raises(LastOwner):
        end(owner, owner)


def test_an_owner_lowers_themselves_where_there_is_another(join):
    owner, _ = join("olga", "owner"), join("otto", "owner")

    change(owner, owner, "viewer")

    assert roles()["olga"] == "viewer"


def test_handing_over_makes_one_owner_and_one_admin(join):
    owner, heir = join("olga", "owner"), join("sam", "viewer")

    hand_over(owner, heir)

    assert roles() == {"olga": "admin", "sam": "owner"}


@pytest.mark.parametrize("own", ["admin", "member", "viewer"])
def test_only_an_owner_hands_over(join, own):
    join("olga", "owner")
    actor, heir = join("ann", own), join("sam", "member")

    with pytest.raises(RoleAboveOwn):
        hand_over(actor, heir)
    assert roles()["sam"] == "member"


def test_an_owner_is_no_heir(join):
    owner, other = join("olga", "owner"), join("otto", "owner")
    for heir in (owner, other):
        with pytest.raises(OwnsAlready):
            hand_over(owner, heir)


def test_who_can_t_sign_in_is_no_heir(join):
    owner, heir = join("olga", "owner"), join("sam", "member")
    User.objects.filter(pk=heir.user_id).update(is_active=False)

    with pytest.raises(MemberInactive):
        hand_over(owner, heir)
    assert roles()["olga"] == "owner"


@pytest.mark.parametrize("do", [end, hand_over, lambda actor, who: change(actor, who, "viewer")])
def test_a_member_elsewhere_is_not_found(join, eve, do):
    owner, subject = join("olga", "owner"), join("sam", "member")
    stranger = Membership.objects.get(user=eve)

    with pytest.raises(NotFound):
        do(stranger, subject)  # by a stranger
    subject.organization = Organization.objects.get(slug="other")
    with pytest.raises(NotFound):
        do(stranger, subject)  # of another organization
    stranger.organization = owner.organization
    with pytest.raises(NotFound):
        do(owner, stranger)
    assert roles()["sam"] == "member"


def test_what_a_member_may_not_invite_to_any_more_is_revoked(join, org):
    owner, admin = join("olga", "owner"), join("ann", "admin")
    for maker in (owner, admin):
        make_invitation(organization=org, role=Role.MEMBER, made_by=maker.user)

    change(owner, admin, "member")

    assert Invitation.objects.get(revoked_at=None).made_by == owner.user
    change(owner, admin, "admin")  # and does not come back
    assert Invitation.objects.get(revoked_at=None).made_by == owner.user


def test_who_is_removed_leaves_no_way_back(join, org):
    owner, admin = join("olga", "owner"), join("ann", "admin")
    make_invitation(organization=org, role=Role.VIEWER, made_by=admin.user)

    end(owner, admin)

    assert not Invitation.objects.filter(revoked_at=None).exists()


def test_who_hands_over_keeps_the_invitations_that_an_admin_may_make(join, org):
    owner, heir = join("olga", "owner"), join("sam", "member")
    for role in (Role.OWNER, Role.ADMIN):
        make_invitation(organization=org, role=role, made_by=owner.user)

    hand_over(owner, heir)

    assert Invitation.objects.get(revoked_at=None).role == "admin"


@pytest.mark.parametrize("turn", range(5))
@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_lower_each_other_one_stays(join, turn):
    olga, otto = join("olga", "owner"), join("otto", "owner")

    done = in_parallel(lambda: change(olga, otto, "member"), lambda: change(otto, olga, "member"))

    assert sorted(roles().values()) == ["member", "owner"]
    assert sum(isinstance(one, RoleAboveOwn) for one in done) == 1


@pytest.mark.parametrize("turn", range(5))
@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_leave_at_the_same_time_one_stays(join, turn):
    olga, otto = join("olga", "owner"), join("otto", "owner")

    done = in_parallel(lambda: end(olga, olga), lambda: end(otto, otto))

    assert list(roles().values()) == ["owner"]
    assert sum(isinstance(one, LastOwner) for one in done) == 1


@pytest.mark.parametrize("turn", range(5))
@pytest.mark.django_db(transaction=True)
def test_nobody_invites_while_they_are_removed(join, org, turn):
    """Either the invitation was made first, and is revoked, or it is refused."""
    owner, admin = join("olga", "owner"), join("ann", "admin")

    in_parallel(
        lambda: end(owner, admin),
        lambda: make_invitation(organization=org, role=Role.MEMBER, made_by=admin.user),
    )

    assert not Invitation.objects.filter(revoked_at=None).exists()
