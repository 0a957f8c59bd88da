"""On which ports processes listen: real sockets, and what the systems write of them."""

from __future__ import annotations

import os
import socket

import pytest

from mesh.children import HAS_PROC
from sandboxes.daemon.setup.listening_ports import Listener, listeners_of, read_lsof, read_net

IN_PROC = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1435 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1 0
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12 1 0
   2: 0700A8C0:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 13 1 0
   3: 0100007F:1435 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 14 1 0
"""
IN_PROC_6 = """\
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:0BB8 00000000000000000000000000000000:0 0A 0:0 0:0 0 0 0 21 1
   1: 00000000000000000000000000000000:0BB9 00000000000000000000000000000000:0 0A 0:0 0:0 0 0 0 22 1
   2: 0000000000000000FFFF00000100007F:0BBA 00000000000000000000000000000000:0 0A 0:0 0:0 0 0 0 23 1
   3: 000080FE000000000000000001000000:0BBB 00000000000000000000000000000000:0 0A 0:0 0:0 0 0 0 24 1
"""


def test_what_linux_says():
    """Not a port of the network's address alone: nothing on loopback reaches it."""
    assert read_net(IN_PROC) == [("11", Listener(5173)), ("12", Listener(8080, is_open=True))]


def test_what_linux_says_of_ipv6():
    assert read_net(IN_PROC_6) == [
        ("21", Listener(3000)),
        ("22", Listener(3001, is_open=True)),
        ("23", Listener(3002)),
    ]


@pytest.mark.parametrize("text", ["", "x", "a\nb c d\n", "\n\n"])
def test_what_is_no_such_table_has_no_listeners(text):
    assert read_net(text) == []


def test_what_macos_says():
    text = "p42\nf10\nn127.0.0.1:5173\nf11\nn*:3000\np43\nf9\nn[::1]:8080\nn192.168.1.2:9\nnx\n"

    assert read_lsof(text) == [Listener(5173), Listener(3000, is_open=True), Listener(8080)]


@pytest.mark.skipif(not HAS_PROC, reason="reads /proc")
@pytest.mark.parametrize(
    ("family", "host", "is_open"),
    [
        pytest.param(socket.AF_INET, "127.0.0.1", False, id="loopback"),
        pytest.param(socket.AF_INET6, "::1", False, id="loopback, IPv6"),
        pytest.param(socket.AF_INET, "0.0.0.0", True, id="all"),
        pytest.param(socket.AF_INET6, "::", True, id="all, IPv6"),
    ],
)
def test_a_socket_of_a_process_is_found(family, host, is_open):
    with socket.socket(family) as listening:
        listening.bind((host, 0))
        listening.listen()
        port = listening.getsockname()[1]

        assert Listener(port, is_open) in listeners_of({os.getpid()})
        assert listeners_of({os.getppid()}) is not None
        assert Listener(port, is_open) not in listeners_of({os.getppid()})


def test_no_processes_listen_on_nothing():
    assert listeners_of(set()) == []
