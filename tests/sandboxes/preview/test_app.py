"""Previews: D-IN1–6, and who is let in; a real server and real WebSockets."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from mesh.models import Membership
from sandboxes.providers.base import DispatchRefused, LinkOffline, SandboxDown
from tests.rude import RudeClient
from tests.waiting import auntil

pytestmark = pytest.mark.django_db(transaction=True)


async def test_d_in1_what_is_asked_reaches_the_app_as_it_was(site):
    async with site.client() as client:
        client.headers["cookie"] = f"app=2; {await site.cookie()}; mesh_session=x"
        answer = await client.post("/a%2Fb/widget?x=1&y=%20", content="hello")

    told = answer.json()
    assert (told["method"], told["body"]) == ("POST", "hello")
    assert told["path"] == "/preview/a%2Fb/widget?x=1&y=%20"
    assert told["headers"]["cookie"] == "app=2"
    assert told["headers"]["x-forwarded-host"] == site.host()
    assert "authorization" not in told["headers"]


async def rudely(site, method, target, headers):
    """Ask at the preview's origin, with a target that no client has tidied."""
    client = RudeClient(f"http://127.0.0.1:{site.port}")
    return await asyncio.to_thread(client.request, method, target, headers, host=site.host())


DOTTED = [
    pytest.param("/../write", id="raw"),
    pytest.param("/a/../../write", id="between"),
    pytest.param("/%2e%2e/write", id="encoded"),
    pytest.param("/%252e%252e/write", id="encoded twice"),
    pytest.param("/..%2fwrite", id="an encoded slash"),
    pytest.param("/..\\write", id="a backslash"),
    pytest.param("/..;a/write", id="parameters"),
    pytest.param("/.mesh/../../write", id="behind Mesh's own"),
]


@pytest.mark.parametrize("target", DOTTED)
async def test_a_path_with_dot_segments_is_refused_at_the_edge(site, dev_server, target):
    cookie = await site.cookie()

    answer = await rudely(site, "POST", target, {"Cookie": cookie, "Accept": "*/*"})

    error = answer.json()["error"]
    assert (answer.status, error["code"], bool(error["hint"])) == (400, "bad_target", True)
    assert dev_server.seen == []


@pytest.mark.parametrize("target", DOTTED)
async def test_a_websocket_with_dot_segments_is_refused_too(site, dev_server, target):
    cookie = await site.cookie()
    client = RudeClient(f"http://127.0.0.1:{site.port}")

    answer = await asyncio.to_thread(client.upgrade, target, {"Cookie": cookie}, host=site.host())

    assert (answer.status, dev_server.joined) == (400, [])


@pytest.mark.parametrize(
    "target",
    ["/@fs/a/x.js", "/@id/__x00__v", "/.vite/x.js?v=1", "/a..b", "/...", "//a%2Fb", "/%2e%2efoo"],
)
async def test_a_path_of_a_dev_server_arrives_to_the_letter(site, target):
    cookie = await site.cookie()

    answer = await rudely(site, "GET", target, {"Cookie": cookie})

    assert answer.json()["path"].removesuffix("?") == f"/preview{target}"


async def test_the_apps_cookies_and_frame_rules_stay_with_it(site):
    async with site.client() as client:
        client.headers["cookie"] = await site.cookie()
        answer = await client.get("/")

    assert answer.headers.get_list("set-cookie") == [
        "app=1; Path=/; SameSite=None; Secure; Partitioned"
    ]
    assert "x-frame-options" not in answer.headers
    assert answer.headers["content-security-policy"] == "frame-ancestors 'self' http://localhost:*"
    assert answer.headers.get_list("cross-origin-resource-policy") == ["same-origin"]
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param("unknown-0123456789abcdef", 401, id="without a cookie of that origin"),
        pytest.param("-", 404, id="D-IN3: no name of a sandbox"),
        pytest.param("a.b", 404, id="two labels"),
    ],
)
async def test_other_origins(site, host, status):
    async with site.client(host) as client:
        client.headers["cookie"] = await site.cookie()
        assert (await client.get("/")).status_code == status


async def test_d_in2_a_sandbox_that_is_not_the_persons_any_more_is_unknown(site, ada):
    cookie = await site.cookie()
    await sync_to_async(Membership.objects.filter(user=ada).delete)()
    now = site.previews.clock()
    site.previews.clock = lambda: now + 4  # a look-up is good for three seconds

    async with site.client() as client:
        client.headers["cookie"] = cookie
        assert (await client.get("/")).status_code == 404


async def test_a_ticket_is_good_once(site):
    ticket = await sync_to_async(site.ticket)()
    async with site.client() as client:
        first = await client.post("/.mesh/enter", content=ticket)
        again = await client.post("/.mesh/enter", content=ticket)

    assert first.status_code == 204
    assert "HttpOnly" in first.headers["set-cookie"]
    assert "Partitioned" in first.headers["set-cookie"]
    assert (again.status_code, "set-cookie" in again.headers) == (401, False)


@pytest.mark.parametrize(
    "changes", [{"handle": "other-0123456789abcdef"}, {"kind": "host"}], ids=["origin", "kind"]
)
async def test_a_ticket_for_something_else(site, changes):
    async with site.client() as client:
        answer = await client.post("/.mesh/enter", content=site.ticket(**changes))

    assert answer.status_code == 401


@pytest.mark.parametrize("ticket", ["", "x", "a:b:c", "x" * 5_000, "é"])
async def test_what_is_no_ticket(site, ticket):
    async with site.client() as client:
        answer = await client.post("/.mesh/enter", content=ticket)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "bad_ticket")


async def test_an_address_with_a_ticket_opens_nothing(site):
    async with site.client() as client:
        answer = await client.get("/.mesh/enter", params={"ticket": site.ticket()})

    assert (answer.status_code, "set-cookie" in answer.headers) == (405, False)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        pytest.param("", 204, id="a program"),
        pytest.param("http://enter.{host}", 204, id="the page beside it"),
        pytest.param("http://{host}", 403, id="the app itself"),
        pytest.param("http://enter.other-0123456789abcdef.localhost", 403, id="another's"),
        pytest.param("https://enter.{host}", 403, id="another scheme"),
        pytest.param("null", 403, id="none"),
    ],
)
async def test_only_the_page_beside_a_preview_brings_its_ticket(site, origin, status):
    origin = origin.replace("{host}", site.host())
    async with site.client() as client:
        headers = {"origin": origin} if origin else {}
        answer = await client.post("/.mesh/enter", content=site.ticket(), headers=headers)

    assert (answer.status_code, "set-cookie" in answer.headers) == (status, status == 204)
    allowed = answer.headers.get("access-control-allow-origin")
    assert allowed == (f"http://enter.{site.host()}" if status == 204 else None)


async def test_the_page_beside_a_preview_runs_its_own_script_and_asks_that_preview(site):
    async with site.client() as client:
        client.headers["host"] = f"enter.{site.host()}"
        page = await client.get(f"/{site.grant.handle}")
        other = await client.get("/other-0123456789abcdef")

    rules = dict(one.split(" ", 1) for one in page.headers["content-security-policy"].split("; "))
    assert (page.status_code, other.status_code) == (200, 404)
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == f"http://{site.host()}"
    assert rules["script-src"].startswith("'sha256-")
    assert rules["frame-ancestors"] == "http://localhost:*"
    assert page.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/", "/sw.js", "/.mesh/enter", "/a/b"])
async def test_no_app_runs_beside_a_preview(site, dev_server, path):
    cookie = await site.cookie()
    async with site.client() as client:
        client.headers.update({"host": f"enter.{site.host()}", "cookie": cookie})
        answers = [await client.request(method, path) for method in ("GET", "POST")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert dev_server.seen == []


async def test_in_public_the_cookie_is_the_hosts_alone(site, dev_server):
    site.previews.mesh_url = lambda: "https://mesh.example"
    host = f"{site.grant.handle}.preview.mesh.example"
    async with site.client() as client:
        client.headers["host"] = host
        headers = {"origin": "https://enter.preview.mesh.example"}
        entered = await client.post("/.mesh/enter", content=site.ticket(), headers=headers)
        client.headers["cookie"] = entered.headers["set-cookie"].partition(";")[0]
        assert (await client.get("/")).status_code == 200
        client.headers["cookie"] = client.headers["cookie"].removeprefix("__Host-")
        assert (await client.get("/")).status_code == 401

    name, *attributes = entered.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-mesh_preview=")
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= set(attributes)
    assert not [one for one in attributes if one.startswith("Domain")]


async def test_while_the_sandbox_starts_the_page_reloads_automatically(site, dev_server):
    dev_server.error = SandboxDown()
    async with site.client() as client:
        client.headers["cookie"] = await site.cookie()
        await auntil(lambda: dev_server.places and not site.previews._starting)
        page = await client.get("/")

    assert (page.status_code, page.headers["retry-after"]) == (503, "2")
    assert 'http-equiv="refresh"' in page.text
    await auntil(lambda: len(dev_server.places) > 1)  # one for the ticket, one for the pages
    assert {place.handle for place in dev_server.places} == {site.grant.handle}


@pytest.mark.parametrize("path", ["/", "/data.json"])
@pytest.mark.parametrize(
    ("error", "code", "retry_after"),
    [(SandboxDown(), "sandbox_starting", "2"), (LinkOffline(), "link_offline", "5")],
)
async def test_a_program_is_told_what_a_page_would_show(
    site, dev_server, path, error, code, retry_after
):
    dev_server.error = error
    async with site.client() as client:
        client.headers["cookie"] = await site.cookie()
        data = await client.get(path, headers={"accept": "*/*"})
        text = await client.get(path, headers={"accept": "text/plain"})

    assert (data.status_code, data.json()["error"]["code"]) == (503, code)
    assert data.headers["retry-after"] == text.headers["retry-after"] == retry_after
    assert (text.status_code, text.headers["content-type"]) == (503, "text/plain; charset=utf-8")
    assert text.text.endswith(f"Ask again in {retry_after} s.\n")


async def test_a_sandbox_that_can_not_be_started_says_why_and_is_tried_again(
    site, dev_server, monkeypatch
):
    now, tries = [0.0], []

    async def refused(place):
        tries.append(place)
        raise DispatchRefused("no_image", "There is no image <b>.", "Build it.")

    monkeypatch.setattr(dev_server, "ensure", refused)
    site.previews.clock = lambda: now[0]
    dev_server.error = SandboxDown()
    async with site.client() as client:
        client.headers["cookie"] = await site.cookie()
        await auntil(lambda: tries and not site.previews._starting)
        page = await client.get("/")
        data = await client.get("/", headers={"accept": "application/json"})
        now[0] += 11
        later = await client.get("/")

    assert (page.status_code, page.headers["retry-after"]) == (503, "5")
    assert "There is no image &lt;b&gt;. Build it." in page.text
    assert (data.status_code, data.json()["error"]["code"]) == (503, "no_image")
    assert "Starting your preview" in later.text
    await auntil(lambda: len(tries) == 2)


async def test_a_machine_that_is_away_is_said(site, dev_server):
    dev_server.error = LinkOffline()
    async with site.client() as client:
        client.headers["cookie"] = await site.cookie()
        page = await client.get("/")

    assert page.status_code == 503
    assert "Your machine is not connected" in page.text


async def test_a_body_has_a_limit(site, monkeypatch):
    monkeypatch.setattr("sandboxes.preview.app.BODY_LIMIT", 10)
    async with site.client() as client:
        client.headers["cookie"] = await site.cookie()
        assert (await client.post("/", content="x" * 11)).status_code == 413


async def pieces(count):
    for _ in range(count):
        yield b"x" * 1024 * 1024


@pytest.mark.parametrize("headers", [{"content-length": str(30 << 20)}, {}], ids=["long", "chunks"])
async def test_but_a_dev_server_is_sent_one_of_any_length(site, headers):
    async with site.client() as client:
        client.headers["cookie"] = await site.cookie()
        answer = await client.post("/files", content=pieces(30), headers=headers)

    assert answer.json()["body"] == f"{30 << 20} bytes"


async def test_a_machine_of_an_older_version_gets_none_above_the_limit(site, dev_server):
    dev_server.is_new = False
    async with site.client() as client:
        client.headers["cookie"] = await site.cookie()
        client.headers["accept"] = "application/json"
        fits = await client.post("/files", content=pieces(2))
        answer = await client.post("/files", content=pieces(30))

    assert fits.json()["body"] == f"{2 << 20} bytes"
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (413, "body_too_large")
    assert error["hint"] == "Update Mesh on the machine."


def by(site, mode="no-cors", dest="script"):
    return {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        pytest.param("POST", {}, 200, id="no page"),
        pytest.param("POST", {"origin": "own"}, 200, id="its own"),
        pytest.param("POST", {"origin": "null", **by("same-origin")}, 200, id="its own form"),
        pytest.param("POST", {"origin": "http://evil.example"}, 403, id="another site"),
        pytest.param("POST", {"origin": "tls-own"}, 403, id="its own name by another scheme"),
        pytest.param("POST", {"origin": "own", **by("same-site")}, 403, id="another preview"),
        pytest.param("POST", by("same-site", "navigate", "document"), 403, id="a form elsewhere"),
        pytest.param("GET", {"origin": "http://evil.example"}, 403, id="CORS, an old browser"),
        pytest.param("GET", by("same-origin"), 200, id="its own script"),
        pytest.param("GET", by("none", "navigate", "document"), 200, id="typed in"),
        pytest.param("GET", by("same-site"), 403, id="a script of another preview"),
        pytest.param("GET", by("same-site", dest="style"), 403, id="a style of another preview"),
        pytest.param("GET", by("cross-site", dest="image"), 403, id="a picture elsewhere"),
        pytest.param("GET", by("same-site", "cors", "empty"), 403, id="fetched elsewhere"),
        pytest.param("GET", by("same-site", "navigate", "object"), 403, id="an object elsewhere"),
        pytest.param("GET", by("cross-site", "navigate", "iframe"), 200, id="Mesh's frame"),
        pytest.param("GET", by("cross-site", "navigate", "document"), 200, id="a link"),
        pytest.param("GET", by("same-site", "navigate", "empty"), 200, id="past its own worker"),
        pytest.param("OPTIONS", by("same-site", "cors", "empty"), 403, id="a preflight"),
    ],
)
async def test_pages_of_other_origins_only_lead_here(site, dev_server, method, headers, status):
    headers = {
        name: value.replace("tls-own", f"https://{site.host()}").replace(
            "own", f"http://{site.host()}"
        )
        for name, value in headers.items()
    }
    async with site.client() as client:
        client.headers["cookie"] = await site.cookie()
        answer = await client.request(method, "/", headers=headers)

    assert (answer.status_code, len(dev_server.seen)) == (status, int(status == 200))


def socket(site, path, cookie, origin="", **options):
    return connect(
        f"ws://{site.host()}{path}",
        host="127.0.0.1",  # where every name below localhost is
        additional_headers={"Cookie": cookie},
        origin=origin or None,
        proxy=None,
        **options,
    )


async def test_d_in4_to_6_a_websocket_goes_through_with_path_query_and_protocol(site, dev_server):
    cookie = await site.cookie()
    async with (
        dev_server.echoing(),
        socket(
            site, "/hmr?t=1", cookie, f"http://{site.host()}", subprotocols=["vite-hmr"]
        ) as near,
    ):
        await near.send("hello")
        assert await near.recv() == "/preview/hmr?t=1 hello"
        assert near.subprotocol == "vite-hmr"

    ((_, headers),) = dev_server.joined
    assert "cookie" not in headers


@pytest.mark.parametrize(
    ("cookie", "origin", "status"),
    [
        pytest.param("", "", 401, id="no cookie"),
        pytest.param("good", "http://evil.example", 403, id="another site"),
        pytest.param("good", "https://own", 403, id="its own name by another scheme"),
    ],
)
async def test_websockets_that_are_refused(site, cookie, origin, status):
    cookie = await site.cookie() if cookie else "mesh_preview=x"

    origin = origin.replace("own", site.host())
    with pytest.raises(InvalidStatus) as refused:
        async with socket(site, "/", cookie, origin):
            pass
    assert refused.value.response.status_code == status
