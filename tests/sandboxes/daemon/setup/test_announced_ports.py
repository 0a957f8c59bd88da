"""What dev servers print, as each prints it, and where they are then looked for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.daemon.setup.announced_ports import MOST, Announcement, PortSniffer


def told(*pieces):
    sniffer = PortSniffer()
    for piece in pieces:
        sniffer.feed(piece)
    return sniffer.found


@pytest.mark.parametrize(
    ("said", "port"),
    [
        pytest.param("  ➜  Local:   http://localhost:5173/\n", 5173, id="Vite"),
        pytest.param(
            "  \x1b[32m➜\x1b[39m  \x1b[1mLocal\x1b[22m:   http://localhost:\x1b[1m5173\x1b[22m/\n",
            5173,
            id="Vite in colours",
        ),
        pytest.param("   - Local:         http://localhost:3001\n", 3001, id="Next"),
        pytest.param("┃ Local    http://localhost:4321/\n", 4321, id="Astro"),
        pytest.param("│  http://localhost:6006│\n", 6006, id="in a box"),
        pytest.param("Starting development server at http://127.0.0.1:8000/\n", 8000, id="Django"),
        pytest.param("INFO: Uvicorn running on http://127.0.0.1:8010 (Press\n", 8010, id="Uvicorn"),
        pytest.param(" * Running on http://127.0.0.1:5000\n", 5000, id="Flask"),
        pytest.param(
            "<i> Project is running at:\n<i> Loopback: http://localhost:8080/, http://[::1]:8080/\n",
            8080,
            id="webpack-dev-server, on the next line",
        ),
        pytest.param("[11ty] Server at http://localhost:8080/\n", 8080, id="Eleventy"),
        pytest.param("Waiting on http://localhost:8081\n", 8081, id="Expo"),
        pytest.param("[wrangler:info] Ready on http://localhost:8787\n", 8787, id="Wrangler"),
        pytest.param("NiceGUI ready to go on http://localhost:8080, and http://192.168.1.2:8080\n",
                     8080, id="NiceGUI"),
        pytest.param("Listening on http://[::]:8787/\n", 8787, id="any address, IPv6"),
        pytest.param("Server listening on port 4321\n", 4321, id="no address"),
        pytest.param("Serving HTTP on 127.0.0.1 port 8001 (http://\n", 8001, id="Python"),
        pytest.param("open http://localhost:3000.\n", 3000, id="the end of a sentence"),
        pytest.param("\x1b]8;;http://x/\x07a\x1b]8;;\x07: http://localhost:80\n", 80, id="a link"),
    ],
)  # fmt: skip
def test_a_port_that_is_announced(said, port):
    assert told(said)[0].port == port


@pytest.mark.parametrize(
    "said",
    [
        "connected to postgres://localhost:5432/app\n",
        "Network: http://192.168.1.7:5173/\n",
        "listening on port 99999\n",
        "http://localhost.evil.example:3000/\n",
        "http://127.0.0.1.evil.example/\n",
        "http://127.0.0.1:30000000/\n",
    ],
)
def test_what_announces_no_port_of_this_machine(said):
    assert told(said) == []


@pytest.mark.parametrize(
    ("said", "announcement"),
    [
        ("http://localhost:8888/lab?token=1a\n", Announcement(8888, "/lab?token=1a")),
        ("URL: http://localhost:2718?access_token=x\n", Announcement(2718, "/?access_token=x")),
        ("Bokeh app running at: http://localhost:5006/app\n", Announcement(5006, "/app")),
        ("https://localhost:5173/\n", Announcement(5173, "/", is_secure=True)),
        ("https://localhost/\n", Announcement(443, "/", is_secure=True)),
        ("http://localhost:80//evil.example/\n", Announcement(80, "/evil.example/")),
    ],
)
def test_the_page_and_the_scheme_that_are_announced(said, announcement):
    assert told(said) == [announcement]


@given(cuts=st.lists(st.integers(0, 45), max_size=6))
def test_an_announcement_in_pieces(cuts):
    text = "ready\n  Local:   http://localhost:5173/\nbye\n"
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]

    assert told(*(text[start:end] for start, end in pairwise(edges)))[0].port == 5173


def test_the_first_announcement_of_a_port_counts():
    sniffer = PortSniffer()
    sniffer.feed("http://localhost:3000/\nDocs: http://localhost:3000/docs\n")

    assert sniffer.found == [Announcement(3000)]
    assert sniffer.feed("and http://localhost:3001/\n") == [Announcement(3001)]
    assert sniffer.feed("done\n") == []


@given(st.text())
def test_whatever_is_printed_is_read(text):
    PortSniffer().feed(text)


def test_a_flood_of_addresses_is_bounded():
    assert len(told("".join(f"http://localhost:{n}/\n" for n in range(1000, 9000)))) == MOST
