"""What does a preview cost?  python -m tests.bench.bench_preview

A page of a dev server, asked for directly and through server, link and sandbox; and how long the
tools that ensure a sandbox take once it is warm. The numbers belong to a machine; the ratio says
more.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import httpx

from tests.running import RunningMesh, say
from tests.sandboxes.daemon.projects import python_project, repository
from tests.waiting import until

TIMES = 300
ENSURED_WITHIN = 50  # ms


def median(values):
    return sorted(values)[len(values) // 2]


def timed(call, times=TIMES):
    """Return the median milliseconds of ``call``, whose answer must be a good one."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        answer = call()
        took.append((time.perf_counter() - began) * 1000)
        assert answer.is_success, answer.text
    return median(took)


def main():
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder:
        project = Path(folder) / "project"
        repository(project, python_project())
        mesh = RunningMesh(Path(folder) / "home", MESH_FOLDER=str(project))
        try:
            mesh.start().online()
            measure(mesh)
        finally:
            mesh.close()


def measure(mesh):
    with mesh.client() as api:
        thread = api.post("/threads", json={}).json()["id"]
        say(api, thread, "hello", harnessId="demo")
        until(lambda: api.get(f"/threads/{thread}").json()["status"] == "completed", within=60)
        offer = api.post(f"/threads/{thread}/sandbox/preview").json()
        handle = offer["origin"].removeprefix("http://").partition(".")[0]
        preview = httpx.Client(
            base_url=mesh.url,
            headers={"host": offer["origin"].removeprefix("http://"), "accept": "text/html"},
            trust_env=False,
        )
        entered = preview.post("/.mesh/enter", content=offer["url"].partition("ticket=")[2])
        preview.headers["cookie"] = entered.headers["set-cookie"].partition(";")[0]
        until(lambda: "hello from python" in preview.get("/").text, within=60, what="the page")
        port = started_at(mesh, handle)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as direct:
            alone = timed(lambda: direct.get("/"))
        through = timed(lambda: preview.get("/"))
        print(f"{'page, directly':<28} {alone:.2f} ms")
        print(f"{'page, through everything':<28} {through:.2f} ms  × {through / alone:.1f}")
        tools = f"{mesh.url}/api/home/tools"
        body = {"virtualMcpId": "default", "branch": "main", "sandboxProviderKind": "remote-user"}
        api.post(f"{tools}/VM_START", json=body, timeout=60)
        ensured = timed(lambda: api.post(f"{tools}/ensure_vm", json=body), times=50)
        started = timed(lambda: api.post(f"{tools}/VM_START", json=body), times=50)
        # The first reads what is recorded; the second asks the laptop, and the laptop the sandbox.
        print(f"{'ensure_vm, warm':<28} {ensured:.1f} ms  (of the record alone)")
        print(
            f"{'VM_START, warm':<28} {started:.1f} ms  (server, link, sandbox;"
            f" promised: ≤ {ENSURED_WITHIN} ms)"
        )


def started_at(mesh, handle):
    """Return the dev server's own port, as its log says it."""
    import re

    log = (mesh.home / "sandboxes" / handle / "tmp").glob("*")
    said = "".join(path.read_text(errors="replace") for path in log if path.is_file())
    return int(re.search(r"Listening on http://127\.0\.0\.1:(\d+)", said)[1])


if __name__ == "__main__":
    main()
