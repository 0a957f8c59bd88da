"""``ssh -R`` as people have it: a laptop dials out, and its port can be reached at the server.

An sshd of its own on a free loopback port, with keys made for the occasion.
"""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import free_port, listens
from tests.waiting import until

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
MISSING = "ssh -R is left out: there is no sshd on this machine (apt-get install openssh-server)."


@contextmanager
def reverse(to_port: int) -> Iterator[int | None]:
    """Yield the port that leads through ssh to ``to_port``; ``None`` where there is no sshd."""
    if SSHD is None or shutil.which("ssh") is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="bench-ssh-") as name:
        folder, port, far = Path(name), free_port(), free_port()
        daemon = subprocess.Popen([SSHD, "-D", "-e", "-f", str(_config(folder, port))])
        try:
            until(lambda: listens(port), what="sshd to listen")
            client = _dial(folder, port, far, to_port)
            try:
                until(lambda: listens(far), what="ssh -R to listen")
                yield far
            finally:
                client.kill()
                client.wait()
        finally:
            daemon.kill()
            daemon.wait()


def _config(folder: Path, port: int) -> Path:
    for key in ("host", "mine"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
        subprocess.run(words, check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where it locks itself in
    lines = [
        f"ListenAddress 127.0.0.1:{port}",
        f"HostKey {folder}/host",
        f"AuthorizedKeysFile {folder}/mine.pub",
        f"PidFile {folder}/pid",
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin prohibit-password",
        "LogLevel QUIET",  # it would speak of each look whether it listens
    ]
    path = folder / "config"
    path.write_text("\n".join(lines) + "\n")
    return path


def _dial(folder: Path, port: int, far: int, to_port: int) -> subprocess.Popen[bytes]:
    options = {
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": os.devnull,
        "IdentitiesOnly": "yes",
        "ExitOnForwardFailure": "yes",
        "LogLevel": "ERROR",
    }
    given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    where = ["-p", str(port), "-i", str(folder / "mine")]
    what = ["-N", "-R", f"127.0.0.1:{far}:127.0.0.1:{to_port}"]
    who = f"{getpass.getuser()}@127.0.0.1"
    return subprocess.Popen(["ssh", "-F", os.devnull, *given, *where, *what, who])
