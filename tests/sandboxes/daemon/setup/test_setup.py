"""From a configuration to a server that runs, with real git, node and Python: D-SB8, 10, D-OR."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.sandboxes.daemon.events_reader import looking_on
from tests.sandboxes.daemon.projects import (
    SERVER_PY,
    config,
    git,
    node_project,
    python_project,
    repository,
)
from tests.sandboxes.daemon.sandbox import is_alive, read_words
from tests.waiting import auntil

pytestmark = pytest.mark.programs

# uv is among the tests' own packages.
PATH = {"PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"}
needs_npm = pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")


@pytest.fixture
def sandbox(make_sandbox):
    return make_sandbox(env=PATH)


async def page(sandbox):
    return await sandbox.client.get("/preview/", headers={"accept": "text/html"})


@needs_npm
async def test_a_node_project_is_set_up_and_served(sandbox, tmp_path):  # D-SB10
    url = repository(tmp_path / "origin", node_project(dev="node server.js", test="echo tested"))

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        running = await told.phase("running")

    assert told.phases[:4] == ["cloning", "installing", "starting", "running"]
    assert running["htmlSupport"] is True
    names = [name for name, _ in told.events]
    assert "reload" in names[: len(names) - names[::-1].index("lifecycle")]
    assert told.of("scripts") == [{"scripts": ["dev", "test"]}]
    assert "hello from node" in (await page(sandbox)).text
    assert git(sandbox.root / "repo", "status", "--porcelain") == ""
    assert (await sandbox.get("/config")).json()["ready"] is True


@needs_npm
async def test_a_node_project_s_local_dependency_is_installed(sandbox, tmp_path):
    files = node_project(dev="node -e \"require('helper')\"")
    manifest = json.loads(files["package.json"]) | {"dependencies": {"helper": "file:./helper"}}
    helper = {"name": "helper", "version": "1.0.0", "main": "index.js"}
    files |= {
        "package.json": json.dumps(manifest),
        "helper/package.json": json.dumps(helper),
        "helper/index.js": files["server.js"],
        ".gitignore": "node_modules\n",
    }
    url = repository(tmp_path / "origin", files)

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("running")

    assert "hello from node" in (await page(sandbox)).text
    assert git(sandbox.root / "repo", "status", "--porcelain") == ""


async def test_a_python_project_is_set_up_and_served_with_uv(sandbox, tmp_path):
    url = repository(tmp_path / "origin", python_project())

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("running")

    assert "uv venv" in str(told.of("tasks"))
    assert "hello from python" in (await page(sandbox)).text
    assert (sandbox.root / "repo/.venv/bin/python").exists()
    assert git(sandbox.root / "repo", "status", "--porcelain") == ""


async def test_a_python_project_without_uv(make_sandbox, tmp_path):
    sandbox = make_sandbox(env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    url = repository(tmp_path / "origin", python_project())

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("running")

    assert "-m venv .venv" in str(told.of("tasks"))
    assert "hello from python" in (await page(sandbox)).text


SERVE = ["python", "-c", "import helper; helper.serve()"]


@pytest.mark.parametrize(
    ("manager", "command"), [("uv", "uv pip install"), ("pip", "-m pip install")]
)
async def test_a_local_dependency_is_installed(sandbox, tmp_path, manager, command):
    files = python_project(dev=SERVE)
    files["requirements.txt"] = f"{make_wheel(tmp_path)}\n"
    url = repository(tmp_path / "origin", files)

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url, packageManager={"name": manager}))
        await told.phase("running")

    assert command in str(told.of("tasks"))
    assert "hello from python" in (await page(sandbox)).text


async def test_a_project_with_uv_s_own_lock(sandbox, tmp_path):
    origin = tmp_path / "origin"
    url = repository(origin, {"pyproject.toml": LOCKED})
    make_wheel(origin)
    uv = shutil.which("uv", path=PATH["PATH"])
    subprocess.run([uv, "lock", "-q", "--offline"], cwd=origin, check=True)
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "locked")

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("running")

    assert "uv sync --frozen" in str(told.of("tasks"))
    assert "hello from python" in (await page(sandbox)).text
    assert git(sandbox.root / "repo", "status", "--porcelain") == ""


LOCKED = f"""
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["helper"]

[tool.uv]
package = false
sources = {{ helper = {{ path = "helper-1.0-py3-none-any.whl" }} }}

[tool.mesh]
dev = {json.dumps(SERVE)}
"""


def make_wheel(folder):
    """Return the path of a wheel with one module, made by hand."""
    body = "\n".join(f"    {line}" for line in SERVER_PY.strip().splitlines())
    path = folder / "helper-1.0-py3-none-any.whl"
    info = "helper-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("helper.py", f"def serve():\n{body}\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: helper\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


async def test_a_project_with_manage_py(sandbox, tmp_path):
    serve = SERVER_PY.replace('os.environ["PORT"]', 'sys.argv[2].split(":")[1]')
    files = {
        "requirements.txt": "",
        "manage.py": f"import sys\nassert sys.argv[1] == 'runserver'\n{serve}",
    }
    url = repository(tmp_path / "origin", files)

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("running")

    assert "hello from python" in (await page(sandbox)).text


RECORDING_MANAGER = """#!{python}
import os, pathlib, sys
with open({calls!r}, "a") as file:
    file.write(" ".join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]) + "\\n")
words = [word for word in sys.argv[1:] if word not in ("pnpm", "yarn")]
if words[0] == "install":
    pathlib.Path("node_modules").mkdir()
else:
    os.execv({python!r}, [{python!r}, "server.py"])
"""


@pytest.mark.parametrize(
    ("program", "manager", "calls"),
    [
        ("pnpm", "pnpm", ["pnpm install --no-lockfile", "pnpm run dev"]),
        ("yarn", "yarn", ["yarn install --no-lockfile", "yarn run dev"]),
        ("bun", "bun", ["bun install --no-save", "bun run dev"]),
        ("corepack", "pnpm", ["corepack pnpm install --no-lockfile", "corepack pnpm run dev"]),
        ("deno", "deno", ["deno task dev"]),
    ],
)
async def test_other_package_managers(make_sandbox, tmp_path, program, manager, calls):
    """With a program in the manager's place that writes down how it was called."""
    fake = tmp_path / "bin" / program
    fake.parent.mkdir()
    told_to = str(tmp_path / "calls")
    fake.write_text(RECORDING_MANAGER.format(python=sys.executable, calls=told_to))
    fake.chmod(0o755)
    sandbox = make_sandbox(env={"PATH": f"{fake.parent}:/usr/bin:/bin", "HOME": str(tmp_path)})
    files = node_project(dev="x") | {"server.py": SERVER_PY, ".gitignore": "node_modules"}
    url = repository(tmp_path / "origin", files)

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url, packageManager={"name": manager}))
        await told.phase("running")

    assert Path(told_to).read_text().splitlines() == calls


async def test_a_manager_that_is_not_there(make_sandbox, tmp_path):
    sandbox = make_sandbox(env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    url = repository(tmp_path / "origin", node_project(dev="x"))

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url, packageManager={"name": "bun"}))
        failed = await told.phase("install-failed")

    assert failed["reason"] == "bun is not installed on this machine."


async def test_a_server_that_never_answers_stays_starting(sandbox, tmp_path):
    url = repository(tmp_path / "origin", python_project(dev=["sh", "-c", "echo up; sleep 600"]))

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("starting")
        await auntil(lambda: "up" in told.log)
        reply = await page(sandbox)

    assert reply.status_code == 503
    assert "Starting" in reply.text


async def test_a_server_on_another_port_than_it_was_given(sandbox, tmp_path):
    files = python_project()
    files["server.py"] = SERVER_PY.replace('int(os.environ["PORT"])', "0").replace(
        "{os.environ['PORT']}", "{server.server_port}"
    )
    url = repository(tmp_path / "origin", files)

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url, port=9))
        running = await told.phase("running")

    assert running["port"] != 9
    assert "hello from python" in (await page(sandbox)).text


async def test_without_a_start_script(sandbox, tmp_path):  # D-SB10
    url = repository(tmp_path / "origin", {"README.md": "nothing to run"})

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        failed = await told.phase("start-failed")

    assert "no package.json" in failed["reason"]
    assert told.of("status")[-1]["state"] == "error"
    assert told.of("scripts")[-1] == {"scripts": []}


async def test_a_repository_that_can_t_be_reached(sandbox, tmp_path):  # D-OR1
    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(f"ssh://git.example{tmp_path}/nowhere"))
        await told.phase("clone-failed")

    assert told.phases[:2] == ["cloning", "clone-failed"]


async def test_a_server_that_ends_at_once(sandbox, tmp_path):  # D-OR2
    files = python_project(dev=["sh", "-c", "echo broken; exit 1"])
    url = repository(tmp_path / "origin", files)

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        failed = await told.phase("start-failed")

    assert failed["reason"] == "dev script exited with code 1"
    assert "broken" in told.log


async def test_what_is_ended_on_purpose_is_no_failure(sandbox, tmp_path):  # D-OR3
    url = repository(tmp_path / "origin", python_project())

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("running")
        killed = (await sandbox.post("/exec/dev/kill", {})).json()

    assert killed == {"killed": 1}
    assert "start-failed" not in told.phases


@needs_npm
async def test_other_scripts_may_fail(sandbox, tmp_path):  # D-OR4, D-SB8
    url = repository(tmp_path / "origin", node_project(dev="node server.js", fail="exit 3"))

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("running")
        done = (await sandbox.post("/exec/fail", {"await": True})).json()
        missing = await sandbox.post("/exec/cook", {})

    assert (done["status"], done["exitCode"]) == ("failed", 3)
    assert done["taskId"]
    assert missing.status_code == 404
    assert missing.json()["error"]["available"] == ["dev", "fail"]
    assert told.phases[-1] == "running"


@needs_npm
async def test_a_starter_run_by_a_person_is_what_the_preview_shows(sandbox, tmp_path):
    url = repository(tmp_path / "origin", node_project(dev="exit 1", start="node server.js"))

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("start-failed")
        await sandbox.post("/exec/start", {})
        await told.phase("running")

    assert "hello from node" in (await page(sandbox)).text


async def test_a_failed_start_is_tried_again(sandbox, tmp_path):  # #4387
    url = repository(tmp_path / "origin", {"README.md": "nothing yet"})

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("start-failed")
        for name, text in python_project().items():
            await sandbox.post("/write", {"path": name, "content": text})
        enqueued = (await sandbox.post("/setup/install", {})).json()
        await told.phase("running")

    assert enqueued == {"enqueued": "install"}
    assert told.of("status")[-1] == {"state": "running"}


async def test_another_branch(sandbox, tmp_path):
    url = repository(tmp_path / "origin", python_project())
    git(tmp_path / "origin", "branch", "feature")

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("running")
        answer = (await sandbox.post("/config", config(url, "feature"))).json()
        await told.phase("checking-out")

    assert answer["transition"] == "branch-change"
    branch = ["branch", "--show-current"]
    await auntil(lambda: git(sandbox.root / "repo", *branch) == "feature")


async def test_not_to_another_branch_under_an_agent(sandbox, tmp_path):
    url = repository(tmp_path / "origin", python_project())
    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("running")

    async with sandbox.dispatch("r1", ["say", "at work "], ["silence"]) as events:
        await read_words(events, 2)
        reply = await sandbox.post("/config", config(url, "feature"))
        await sandbox.cancel("r1")

    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "agent_at_work")
    assert git(sandbox.root / "repo", "branch", "--show-current") == "main"


async def test_a_branch_that_an_agent_went_to_stays(sandbox, tmp_path):
    url = repository(tmp_path / "origin", python_project())
    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("running")
    git(sandbox.root / "repo", "checkout", "-qb", "its-own")
    sandbox.stop()
    sandbox.start()

    async with looking_on(sandbox) as told:
        await told.phase("running")

    assert git(sandbox.root / "repo", "branch", "--show-current") == "its-own"


@pytest.mark.parametrize("branch", ["; touch pwned", "$(touch pwned)", "--upload-pack=x", "a b"])
async def test_a_branch_s_name_is_never_run(sandbox, tmp_path, branch):
    url = repository(tmp_path / "origin", python_project())

    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url, branch))
        failed = await told.phase("clone-failed")

    assert branch in failed["reason"]
    assert not list(sandbox.root.rglob("pwned"))


async def test_setup_continues_after_a_restart(sandbox, tmp_path):
    url = repository(tmp_path / "origin", python_project())
    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("running")
    sandbox.kill()
    sandbox.start()

    async with looking_on(sandbox) as told:
        await told.phase("running")

    assert "cloning" not in told.phases
    assert "installing" not in told.phases


async def test_the_end_leaves_the_tree_as_it_is(sandbox, tmp_path):
    url = repository(tmp_path / "origin", python_project())
    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("running")
    (sandbox.root / "repo/new.txt").write_text("work")
    before = git(sandbox.root / "repo", "rev-parse", "HEAD")

    assert sandbox.stop() == 0
    assert git(sandbox.root / "repo", "status", "--porcelain") == "?? new.txt"
    assert git(sandbox.root / "repo", "rev-parse", "HEAD") == before
    assert git(tmp_path / "origin", "branch", "--format=%(refname:short)") == "main"


async def test_an_installation_is_cancelled(sandbox, tmp_path):
    asked = asyncio.Event()

    async def silent(reader, writer):
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        wanted = f"x @ http://127.0.0.1:{port}/x-1-py3-none-any.whl\n"
        files = python_project() | {"requirements.txt": wanted}
        async with looking_on(sandbox) as told:
            await sandbox.post("/config", config(repository(tmp_path / "origin", files)))
            await asyncio.wait_for(asked.wait(), 60)
            await sandbox.client.delete("/setup")
            failed = await told.phase("install-failed")

    assert failed["reason"] == "It was cancelled."
    assert (await sandbox.get("/tasks")).json()["tasks"][-1]["status"] == "killed"
    known = (await sandbox.get("/config")).json()
    assert known["orchestrator"] == {"running": False, "pending": 0}


async def test_no_process_outlives_the_sandbox(sandbox, tmp_path):
    files = python_project(dev=["sh", "-c", "echo PID $$; python server.py & wait"])
    url = repository(tmp_path / "origin", files)
    async with looking_on(sandbox) as told:
        await sandbox.post("/config", config(url))
        await told.phase("running")
    pid = int(told.log.split("PID ")[1].split()[0])

    sandbox.stop()

    assert not is_alive(pid)
