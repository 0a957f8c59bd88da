"""``manage.py mesh_owner``."""

import io

import pytest
from allauth.idp.oidc.models import Token
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from django.test import Client

from mesh import services
from mesh.management.commands import mesh_owner
from mesh.models import Membership, Pairing, User
from tests.second_factor import set_up

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def typed(monkeypatch):
    """What is typed when a password is asked for, at a terminal."""
    words = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(mesh_owner, "getpass", lambda question: words.pop(0))
    return words


@pytest.fixture
def mallory(db):
    """A stranger who signed up with the owner's name, and uses all there is to sign in with."""
    mallory = User.objects.create_user("ada", password="the stranger's own")
    services.make_token(user=mallory)
    set_up(mallory)
    Pairing.objects.create(user=mallory, state="paired", machine_id="m1")
    return mallory


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    return str(path)


def test_makes_the_owner_with_the_password_that_is_typed(typed):
    typed += [PASSWORD] * 2

    call_command("mesh_owner", "ada")

    membership = Membership.objects.get(user__username="ada")
    assert (membership.role, membership.organization.slug) == ("owner", "home")
    assert membership.user.check_password(PASSWORD)
    assert membership.user.is_superuser


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["", ""], id="empty"),
        pytest.param(["12345678", "12345678"], id="weak"),
        pytest.param([PASSWORD, "another horse b"], id="differs"),
    ],
)
def test_without_a_good_password_there_is_no_owner(typed, words):
    typed += words * mesh_owner.TRIES

    with pytest.raises(CommandError, match="nothing was changed"):
        call_command("mesh_owner", "ada")

    assert not User.objects.exists()


def test_scripts_give_the_password_by_a_file(password_file):
    call_command("mesh_owner", "ada", password_file=password_file)

    assert User.objects.get().check_password(PASSWORD)


def test_scripts_give_the_password_on_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))

    call_command("mesh_owner", "ada", password_file="-")

    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("password1\n", "too common", id="weak"),
        pytest.param(None, "can't be read", id="no file"),
    ],
)
def test_a_file_without_a_good_password_makes_no_owner(tmp_path, text, said):
    path = tmp_path / "password"
    if text is not None:
        path.write_text(text)

    with pytest.raises(CommandError, match=said):
        call_command("mesh_owner", "ada", password_file=str(path))

    assert not User.objects.exists()


def test_without_a_terminal_it_names_the_option(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))

    with pytest.raises(CommandError, match="--password-file"):
        call_command("mesh_owner", "ada")


@pytest.mark.parametrize("name", ["ada", "Ada"])
def test_an_account_that_somebody_made_does_not_become_the_owner(mallory, password_file, name):
    with pytest.raises(CommandError, match="already an account called 'ada'") as refused:
        call_command("mesh_owner", name, password_file=password_file)

    mallory.refresh_from_db()
    assert "--existing" in str(refused.value)
    assert not Membership.objects.exists()
    assert (mallory.is_superuser, mallory.check_password("the stranger's own")) == (False, True)


def test_taking_an_account_over_signs_out_whoever_used_it(mallory, password_file):
    client = Client()
    client.force_login(mallory)

    call_command("mesh_owner", "ada", existing=True, password_file=password_file)

    owner = Membership.objects.get(role="owner").user
    assert (owner, owner.check_password(PASSWORD)) == (mallory, True)
    for left in (Token, Authenticator, Pairing):
        assert not left.objects.filter(user=owner).exists()
    assert client.get("/accounts/machines/").status_code == 302


def test_a_member_becomes_the_owner(bob, password_file):
    call_command("mesh_owner", "bob", existing=True, password_file=password_file)

    assert Membership.objects.get(user=bob).role == "owner"


@pytest.mark.parametrize(
    ("name", "existing", "said"),
    [
        pytest.param("nobody", True, "no account called 'nobody'", id="no account"),
        pytest.param("a b", False, "valid username", id="a space"),
        pytest.param("a" * 151, False, "at most 150", id="too long"),
    ],
)
def test_a_name_that_is_not_taken_is_told_before_a_password_is_asked(typed, name, existing, said):
    with pytest.raises(CommandError, match=said):
        call_command("mesh_owner", name, existing=existing)


def test_no_password_stands_on_the_command_line(capsys):
    with pytest.raises(SystemExit):
        call_command("mesh_owner", "--help")

    assert "--password " not in capsys.readouterr().out
