"""How much does the link program cost a laptop?  python -m tests.bench.bench_link_program

Against a server on this machine: from the start of the process until it is connected, and what
it holds in memory once it has looked at the agents' programs and rests. Also the price of what
is typed by hand, and of the wheel. The numbers belong to a machine.

Promised: start ≤ 1 s, idle ≤ 60 MB.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from links.daemon import state
from links.dist import wheel
from tests.running import ROOT, RunningMesh
from tests.waiting import until

ROUNDS = 7
REST = 3.0  # seconds after the probe


def start(mesh, home):
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("MESH_", "DJANGO_"))}
    words = [mesh.url, "--token-file", str(home / "token"), "--name", "bench"]
    return subprocess.Popen(
        [sys.executable, "manage.py", "deco_link", *words],
        cwd=ROOT,
        env=environ | {"MESH_HOME": str(home)},
        stderr=subprocess.DEVNULL,
    )


def link_of(home):
    return next(iter(state.list_running(home)), None)


def is_connected(home):
    link = link_of(home)
    return link is not None and link.phase == "connected"


def memory(pid):
    """Return (resident, of these unshared) in MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kb = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return kb["Rss"] / 1024, (kb["Private_Clean"] + kb["Private_Dirty"]) / 1024


def seconds(*argv):
    began = time.perf_counter()
    subprocess.run(
        argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    return time.perf_counter() - began


def show(name, values, unit, scale=1.0):
    values = sorted(value * scale for value in values)
    middle = values[len(values) // 2]
    print(f"{name:<44} min {values[0]:.1f}  median {middle:.1f}  max {values[-1]:.1f} {unit}")


def measure_link(mesh):
    times, resident, unshared = [], [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            (home / "token").write_text(mesh.token)
            began = time.perf_counter()
            process = start(mesh, home)
            until(lambda home=home: is_connected(home))
            times.append(time.perf_counter() - began)
            until(lambda home=home: link_of(home).harnesses)
            time.sleep(REST)
            whole, own = memory(process.pid)
            resident.append(whole)
            unshared.append(own)
            process.terminate()
            process.wait(10)
    show("deco_link: start until connected", times, "ms", 1000)
    show("deco_link: resident at rest", resident, "MB")
    show("deco_link: of these its own", unshared, "MB")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        mesh = RunningMesh(Path(folder)).start()
        try:
            measure_link(mesh)
        finally:
            mesh.close()
    manage = (sys.executable, "manage.py", "deco_link")
    show("deco_link --version", [seconds(*manage, "--version") for _ in range(ROUNDS)], "ms", 1000)
    show("deco_link status", [seconds(*manage, "status") for _ in range(ROUNDS)], "ms", 1000)
    built = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        size = len(wheel.build().data)
        built.append(time.perf_counter() - began)
    show(f"the wheel ({size // 1000} kB), built", built, "ms", 1000)


if __name__ == "__main__":
    main()
