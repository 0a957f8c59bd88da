"""However much was changed, the sandbox's process stays small. Real git, large files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandboxes.daemon.projects import git
from tests.sandboxes.daemon.repository.work import Work

pytestmark = [pytest.mark.programs, pytest.mark.thorough]

MOST = 80  # MB
LARGE = 120_000_000  # bytes
# Runs one call in a process of its own, and tells how much memory that process had at most.
PROGRAM = """
import json, sys
from pathlib import Path
from sandboxes.daemon.files.tree import Tree
from sandboxes.daemon.repository.repository import Repository

root = Path(sys.argv[1])
repository = Repository(Tree(root / "repo"), root)
answer = eval(sys.argv[2])
json.dumps(answer)
for name in ("diff", "files"):
    if name in answer:
        answer[name] = len(answer[name])
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"peak": int(peak.split()[1]) / 1000, "answer": answer}))
"""


def measured(work, call):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(work.root), call], capture_output=True, check=True
    )
    told = json.loads(done.stdout)
    assert told["peak"] < MOST
    return told["answer"]


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    work = Work(tmp_path / "root")
    work.write("large", b"small\n")
    work.commit()
    yield work
    for file in work.root.rglob("*large*"):
        if file.is_file():
            file.unlink()


def fill(work, name, line):
    with open(work.path(name), "wb") as file:
        for _ in range(LARGE // 1_000_000):
            file.write(line * (1_000_000 // len(line)))


@pytest.mark.parametrize("name", ["large", "new large"])
def test_a_diff_of_many_megabytes(work, name):
    fill(work, name, b"\xe2\x82\xac line\n" * 10)

    answer = measured(work, "repository.diff()")

    assert answer["diff"] <= 1024 * 1024
    assert answer["leftOut"]["files"] == 1
    if answer["leftOut"]["isExact"]:
        assert answer["leftOut"]["bytes"] > 0.98 * LARGE


def test_a_discard_of_many_megabytes(work):
    fill(work, "large", b"0123456789 text\n")
    fill(work, "new large", bytes(range(250)))

    answer = measured(work, "repository.discard(['large', 'new large'])")

    kept = work.root / "discarded" / answer["kept"]
    assert (kept / "changes.patch").stat().st_size > LARGE
    assert (kept / "new/new large").stat().st_size == LARGE
    (kept / "changes.patch").unlink()


def test_very_many_changed_files(work):
    for number in range(100):
        for file in range(1000):
            work.write(f"folder {number}/a file with a long name {file}", b"")

    answer = measured(work, "{**repository.files(repository.facts()), **repository.facts().meta()}")
    shown = measured(work, "repository.diff()")

    assert (answer["files"], answer["filesLeftOut"]) == (10_000, 90_000)
    assert answer["workingTreeDirty"] is True
    assert (shown["truncated"], shown["leftOut"]["isExact"]) == (True, False)


async def test_the_sandbox_s_own_process(sandbox, repo):
    with open(repo / "a.txt", "wb") as file:
        for _ in range(LARGE // 1_000_000):
            file.write(b"0123456789 text\n" * 62_500)

    shown = await sandbox.client.get("/git/diff", timeout=60)
    body = {"paths": ["a.txt"]}
    done = await sandbox.client.post("/git/discard", json=body, timeout=60)

    kept = sandbox.root / "discarded" / done.json()["kept"]
    (kept / "changes.patch").unlink()
    (kept / "changed/a.txt").unlink()
    status = Path(f"/proc/{sandbox.process.pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    assert (shown.json()["truncated"], git(repo, "status", "--porcelain")) == (True, "")
    assert int(peak.split()[1]) / 1000 < MOST
