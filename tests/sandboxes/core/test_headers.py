"""Headers of previews."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.core.headers import find_cookie, inbound, of_this_host, outbound, without_ours


@pytest.mark.parametrize(
    ("cookies", "kept"),
    [
        ("a=1; b=2", "a=1; b=2"),
        ("mesh_session=x; a=1", "a=1"),
        ("__Host-mesh_session=x;mesh_csrf=y; mesh_preview=z", ""),
        ("MESH_SESSION=x", ""),
        ("my_mesh_session=1", "my_mesh_session=1"),
        ("", ""),
    ],
)
def test_cookies_of_mesh_stay_behind(cookies, kept):
    assert without_ours(cookies) == kept


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("a=1; Path=/; Domain=mesh.example", "a=1; Path=/"),
        ("a=1; domain = .mesh.example; Secure", "a=1; Secure"),
        ("mesh_session=x", ""),
        ("__Host-mesh_csrf=x; Path=/", ""),
    ],
)
def test_an_app_sets_cookies_for_its_own_host_only(given_, kept):
    assert of_this_host(given_) == kept


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("a=1", "a=1; SameSite=None; Secure; Partitioned"),
        (
            "a=1; Path=/x; HttpOnly; SameSite=Lax; secure; Max-Age=9; Domain=a.example",
            "a=1; Path=/x; HttpOnly; Max-Age=9; SameSite=None; Secure; Partitioned",
        ),
        ("mesh_session=x", ""),
    ],
)
def test_in_a_frame_of_another_site_an_app_s_cookies_are_partitioned(given_, kept):
    assert of_this_host(given_, is_partitioned=True) == kept


def test_signatures_and_hops_do_not_reach_the_app():
    headers = [(b"Authorization", b"x"), (b"X-Mesh-Nonce", b"x"), (b"Connection", b"x")]
    headers += [(b"X-Forwarded-For", b"1.2.3.4"), (b"Accept", b"*/*")]

    told = inbound(headers, host="h", scheme="http")

    assert told == [("accept", "*/*"), ("x-forwarded-host", "h"), ("x-forwarded-proto", "http")]


@pytest.mark.parametrize("name", ["X-Accel-Redirect", "x-accel-expires", "X-Sendfile"])
def test_an_app_gives_no_orders_to_the_proxy_before_mesh(name):
    told = dict(outbound([(name, "/x"), ("X-Accel-Buffering", "no")], frame_ancestors="x"))

    assert name.lower() not in told
    assert told["x-accel-buffering"] == "no"


names = st.sampled_from(["cookie", "set-cookie", "content-security-policy", "x-a", "Upgrade"])


@given(headers=st.lists(st.tuples(names, st.text("a=;mesh_ssion", max_size=30))))
def test_whatever_an_app_says_it_frames_nobody_and_takes_nobodys_cookie(headers):
    told = outbound(headers, frame_ancestors="x")

    assert told[-1] == ("content-security-policy", "frame-ancestors 'self' x")
    assert [name for name, _ in told].count("content-security-policy") == 1
    assert ("cross-origin-resource-policy", "same-origin") in told
    assert not [v for n, v in told if n == "set-cookie" and v.startswith("mesh_session=")]


@given(cookies=st.text(max_size=60))
def test_any_cookie_header_is_read(cookies):
    raw = [(b"cookie", cookies.encode("utf-8"))]
    assert isinstance(find_cookie(raw, "mesh_preview"), str)
