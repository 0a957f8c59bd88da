"""Every way to become signed in, and to become somebody at all."""

from __future__ import annotations

import subprocess
from uuid import uuid4

import pytest

from tests.doors.browser import Browser
from tests.second_factor import give_code

PASSWORD = "correct horse battery"
PERSON = """
from mesh.models import User
from tests.second_factor import set_up
user = User.objects.create_user({name!r}, password={password!r}, is_staff=True, is_superuser=True)
answer(set_up(user) if {second!r} else "")
"""


@pytest.fixture
def staff(front):
    """Return ``staff(second=…)``: the name of a new member of staff, and their app's secret."""

    def make(*, second=False):
        name = f"staff-{uuid4().hex[:8]}"
        return name, front.shell(PERSON.format(name=name, password=PASSWORD, second=second))

    return make


def ticket_of(front, name):
    return front.shell(
        "from mesh.sign_in_link import make_ticket; from mesh.models import User\n"
        f"answer(make_ticket(user=User.objects.get(username={name!r})))"
    )


def test_the_admin_takes_no_password(front, staff):
    name, _ = staff()
    browser = Browser(front)

    answer = browser.post("/admin/login/?next=/admin/", username=name, password=PASSWORD)

    assert answer.headers["Location"].startswith("/accounts/login/")
    assert not browser.is_signed_in


def test_a_password_alone_is_no_way_past_the_second_factor(front, staff):
    name, _ = staff(second=True)
    browser = Browser(front)

    assert browser.sign_in(name, PASSWORD).headers["Location"] == "/accounts/2fa/authenticate/"
    assert browser.get("/admin/").status_code == 302
    assert not browser.is_signed_in


def test_password_and_second_factor_open_the_admin(front, staff):
    name, secret = staff(second=True)
    browser = Browser(front)
    browser.sign_in(name, PASSWORD)

    give_code(browser, "/accounts/2fa/authenticate/", secret)

    assert browser.get("/admin/").status_code == 200


def test_staff_of_a_mesh_of_several_people_set_up_a_second_factor_first(front, staff):
    name, _ = staff()
    browser = Browser(front)
    browser.sign_in(name, PASSWORD)

    opened = browser.get("/admin/")
    led = browser.get(opened.headers.get("Location", "/"))

    if front.kind == "embedded":  # whoever has its ticket has the machine
        assert opened.status_code == 200
    else:
        assert led.headers["Location"] == "/accounts/2fa/totp/activate/"


def test_passwords_are_tried_five_times_whichever_server_answers(front, staff):
    name, _ = staff()
    for _ in range(5):
        Browser(front).post("/accounts/login/?next=/admin/", login=name, password="wrong")

    last = Browser(front)
    page = last.sign_in(name, PASSWORD)

    assert "Too many failed login attempts" in page.text
    assert not last.is_signed_in


def test_a_ticket_is_taken_once_and_by_one_persons_mesh_alone(front, staff):
    name, _ = staff()
    address = f"/enter?ticket={ticket_of(front, name)}"
    first, again = Browser(front), Browser(front)

    first.get(address), again.get(address)

    assert (first.is_signed_in, again.is_signed_in) == (front.kind == "embedded", False)


def test_a_ticket_is_no_way_past_the_second_factor(front, staff):
    name, _ = staff(second=True)
    browser = Browser(front)

    browser.get(f"/enter?ticket={ticket_of(front, name)}")

    assert not browser.is_signed_in


def test_nobody_signs_up_unless_the_operator_lets_them(front):
    browser = Browser(front)
    form = {"username": "mallory", "password1": PASSWORD, "password2": PASSWORD}

    looked, sent = browser.get("/accounts/signup/"), browser.post("/accounts/signup/", **form)

    assert (looked.status_code, sent.status_code) == (403, 403)
    assert "Sign-up is closed" in looked.text
    assert not browser.sign_in("mallory", PASSWORD).headers.get("Location")


def test_an_invitation_lets_one_person_in(front):
    if front.kind == "embedded":  # a Mesh of one person invites nobody
        with pytest.raises(subprocess.CalledProcessError):
            front.manage("mesh_invite")
        return
    path = front.manage("mesh_invite").partition(front.url)[2]
    names = [f"{name}-{uuid4().hex[:8]}" for name in ("grace", "heidi")]
    browsers = [Browser(front), Browser(front)]

    for name, browser in zip(names, browsers, strict=True):
        browser.get(path)
        browser.post("/accounts/signup/", username=name, password1=PASSWORD, password2=PASSWORD)

    assert [browser.is_signed_in for browser in browsers] == [True, False]
    assert browsers[0].get("/home/").status_code == 200


def test_the_name_of_an_account_does_not_become_the_owner(front, tmp_path):
    file = tmp_path / "password"
    file.write_text(PASSWORD)

    with pytest.raises(subprocess.CalledProcessError) as refused:
        front.manage("mesh_owner", front.bob.name, "--password-file", str(file))

    assert refused.value.returncode == 3
    assert "--existing" in refused.value.stderr


def test_no_mail_is_promised_and_none_written_down(front):
    browser = Browser(front)

    answer = browser.post("/accounts/password/reset/", email="ada@mesh.example")

    assert "This server sends no e-mail" in answer.text
    assert "password/reset/key" not in front.log()


def test_https_binds_this_host_alone(front):
    said = front.rude().request("GET", "/accounts/login/").headers

    wanted = None if front.kind == "embedded" else "max-age=31536000"
    assert said.get("strict-transport-security") == wanted


def test_check_deploy_finds_the_owner(front):
    assert "has no owner" not in front.manage("check", "--deploy")
