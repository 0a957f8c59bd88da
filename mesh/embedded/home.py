"""What an embedded Mesh needs under MESH_HOME before it can start."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

import agents.services
from links.daemon.config import machine_id
from mesh import processes, services
from mesh.embedded import static_files
from mesh.lib import oauth
from mesh.lib.errors import AppError
from mesh.models import IssuedToken, Organization, User
from mesh.tokens import find_sign_in


class NoSuchFolder(AppError):
    code = "no_such_folder"
    hint = "MESH_FOLDER takes the path of a folder on this machine, such as ~/code/shop."


class AlreadyRunning(AppError):
    code = "already_running"
    hint = "Open it, or stop it first. To run a second one, set another MESH_HOME."


FACTS_BYTES = 1024
LINK_TOKEN = "link of this machine"  # noqa: S105  # the token's name, in every version


@dataclass(slots=True)
class Lock:
    """An exclusive lock on this MESH_HOME, held until the process ends, even by a crash."""

    path: Path
    file: int

    def write(self, facts: dict[str, Any]) -> None:
        """Write down for the next start what runs here."""
        # Always one write of the same length: a reader sees the old facts or the new ones.
        os.pwrite(self.file, json.dumps(facts).encode().ljust(FACTS_BYTES), 0)


def lock() -> Lock:
    """Lock MESH_HOME, end a link that a killed server left behind, and return the lock.

    Raises:
        AlreadyRunning: another ``make run`` holds it.
    """
    settings.MESH_HOME.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = settings.MESH_HOME / "run.json"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        port = _read(file).get("port", "?")
        os.close(file)
        raise AlreadyRunning(f"Mesh is already running: http://127.0.0.1:{port}/") from exc
    _end_orphan(_read(file).get("link"))
    return Lock(path=path, file=file)


def _read(file: int) -> dict[str, Any]:
    try:
        facts = json.loads(os.pread(file, FACTS_BYTES, 0) or b"{}")
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _end_orphan(facts: Any) -> None:
    """End the link of a server that was killed, unless its pid now belongs to another process."""
    if not isinstance(facts, dict):
        return
    pid, started = facts.get("pid"), facts.get("started")
    if isinstance(pid, int) and isinstance(started, str):
        processes.end(pid, started)


def chosen_folder() -> str:
    """Return the real path of the folder that MESH_FOLDER names; empty if it names none.

    Raises:
        NoSuchFolder: it is not a folder.
    """
    if not settings.ENV.folder:
        return ""
    folder = Path(settings.ENV.folder).expanduser().resolve()
    if not folder.is_dir():
        raise NoSuchFolder(f"{folder} is not a folder.")
    return str(folder)


def prepare(*, folder: str = "") -> User:
    """Bring the database and static files up to date; return the owner. Safe to repeat.

    ``folder`` is the one that the default agent works in.
    """
    _migrate()
    _collect_static()
    owner = services.make_home(username=getpass.getuser())
    organization = Organization.objects.get(slug="home")
    agent = agents.services.make_default_agent(organization=organization)
    agents.services.set_folder(agent=agent, folder=folder)
    return owner


def _migrate() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0, interactive=False)


def _collect_static() -> None:
    """Copy and compress the static files, unless no source has changed since the last time."""
    from django.contrib.staticfiles.finders import get_finders

    newest = 0.0
    count = 0
    for finder in get_finders():
        for name, storage in finder.list(None):
            newest = max(newest, os.stat(storage.path(name)).st_mtime)
            count += 1
    stamp = settings.MESH_HOME / "static.stamp"
    wanted = f"{settings.MESH_VERSION} {count} {newest}"
    if not stamp.exists() or stamp.read_text() != wanted:
        static_files.collect(settings.STATIC_ROOT, settings.MESH_HOME / "static.history.json")
        stamp.write_text(wanted)


def mint_session(owner: User, *, address: str) -> Path:
    """Write the session file with which ``deco_link --local-sandbox-provider`` signs in.

    Return its path. Only for development, with MESH_ALLOW_LOCALHOST_LINKS.
    """
    path: Path = settings.MESH_HOME / "session.json"
    session = {
        "target": address,
        "clientId": oauth.CLIENT_ID,
        "accessToken": link_token(owner).read_text().strip(),
        "createdAt": timezone.now().isoformat(),
        "user": {"sub": str(owner.pk), "name": owner.username, "email": owner.email},
    }
    _write_private(path, json.dumps(session))
    return path


def link_token(owner: User) -> Path:
    """Return the 0600 file with the token of this machine's link; make it if needed.

    It is a machine's token, because agents run as the same user and can read the file. Older
    versions kept a person's token there, which is revoked.
    """
    path: Path = settings.MESH_HOME / "link" / "token"
    this_machine = machine_id(settings.MESH_HOME)
    found = find_sign_in(path.read_text().strip()) if path.exists() else None
    if found and found.user == owner and found.is_machine and found.machine_id == this_machine:
        return path
    for issued in IssuedToken.objects.filter(token__user=owner, name=LINK_TOKEN):
        services.revoke_issued_token(issued=issued)
    value = services.make_token(
        user=owner, name=LINK_TOKEN, scope="machine", machine_id=this_machine
    )
    _write_private(path, value + "\n")
    return path


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; replace it atomically."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
