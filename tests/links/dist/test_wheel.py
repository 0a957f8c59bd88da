"""The wheel: what is in it, that it is the same each time, and that it works by itself."""

import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from links.dist import wheel
from mesh.version import VERSION


# What uv and pip say when it is the network's fault, and not the wheel's.
NO_INDEX = re.compile(r"(?i)failed to fetch|error sending request|connect|timed out|resolve host")


@pytest.fixture(scope="module")
def built():
    return wheel.build()


@pytest.fixture(scope="module")
def files(built):
    with zipfile.ZipFile(io.BytesIO(built.data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def copy_of_the_sources(folder):
    for pattern in (*wheel.FILES, "pyproject.toml"):
        for path in wheel.ROOT.glob(pattern):
            target = folder / path.relative_to(wheel.ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return folder


def test_it_is_the_same_each_time(built):
    assert wheel.build() == built


def test_its_name_changes_with_any_file(built, tmp_path):
    root = copy_of_the_sources(tmp_path)
    assert wheel.build(root) == built

    (root / "links/daemon/main.py").write_text("# another\n")

    assert wheel.build(root).name != built.name


def test_nothing_of_the_server_is_in_it(files):
    tops = {name.split("/")[0] for name in files if ".dist-info" not in name}

    assert tops == {"agents", "links", "mesh", "sandboxes"}
    assert not [name for name in files if "models" in name or "migrations" in name]
    assert "mesh/settings.py" not in files


def test_the_demo_agent_and_the_catalog_are_in_it(files):
    assert {"agents/demo_agent.py", "mesh/agent_programs/catalog.toml"} <= files.keys()


def test_the_record_names_every_file_with_its_digest(files):
    (record,) = (name for name in files if name.endswith("/RECORD"))
    rows = [line.split(",") for line in files[record].decode().splitlines()]

    assert {path for path, _, _ in rows} == files.keys()
    for path, digest, size in rows:
        if path != record:
            right = hashlib.sha256(files[path]).digest()
            assert digest == f"sha256={base64.urlsafe_b64encode(right).rstrip(b'=').decode()}"
            assert int(size) == len(files[path])


def test_pip_gets_the_same_wheel(built, tmp_path):
    name = wheel.build_wheel(str(tmp_path))

    assert (name, (tmp_path / name).read_bytes()) == (built.name, built.data)


def test_there_is_no_source_distribution(tmp_path):
    with pytest.raises(wheel.UnsupportedOperation):
        wheel.build_sdist(str(tmp_path))


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Return the ``bin`` folder of a fresh environment that the wheel was installed into."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / built.name).write_bytes(built.data)
    uv = shutil.which("uv", path=os.path.dirname(sys.executable)) or shutil.which("uv")
    venv = folder / "venv"
    python = str(venv / "bin" / "python")
    if uv:
        make = [uv, "venv", "-q", "--python", sys.executable, str(venv)]
        install = [uv, "pip", "install", "-q", "--python", python]
    else:
        make = [sys.executable, "-m", "venv", str(venv)]
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run(make, check=True)
    answer = subprocess.run(
        [*install, str(folder / built.name)], capture_output=True, text=True, check=False
    )
    if answer.returncode and NO_INDEX.search(answer.stderr):
        pytest.skip(f"the index of packages can't be reached: {answer.stderr[-300:]}")
    assert answer.returncode == 0, answer.stderr
    return venv / "bin"


def run(*argv, home, **how):
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("MESH_", "PYTHON"))}
    environ |= {"MESH_HOME": str(home), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [str(word) for word in argv], env=environ, cwd=home, capture_output=True, text=True, **how
    )


def test_installed_it_tells_its_version(installed, tmp_path):
    answer = run(installed / "deco", "link", "--version", home=tmp_path)

    assert (answer.returncode, answer.stdout) == (0, f"{VERSION}\n")


def test_installed_it_looks_at_the_machine(installed, tmp_path):
    answer = run(installed / "deco", "link", "doctor", "http://127.0.0.1:1", home=tmp_path)

    assert answer.returncode == 1
    assert "fail  server" in answer.stdout
    assert "Start it: deco link http://127.0.0.1:1" in answer.stdout
    assert not answer.stderr


def test_installed_every_module_loads_without_the_server(installed, files, tmp_path):
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in files
        if name.endswith(".py") and not name.endswith("__main__.py")
    ]
    code = (
        "import importlib, json, sys\n"
        "for name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
        "print([m for m in ('django', 'httpx', 'celery', 'rest_framework') if m in sys.modules])"
    )

    answer = run(installed / "python", "-c", code, json.dumps(modules), home=tmp_path)

    assert (answer.stdout, answer.stderr) == ("[]\n", "")


def test_installed_a_sandbox_can_be_started(installed, tmp_path):
    answer = run(installed / "python", "-P", "-m", "sandboxes.daemon", "--help", home=tmp_path)

    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize(
    ("words", "code"), [([], 2), (["dance"], 2), (["--help"], 0), (["--version"], 0)]
)
def test_deco_itself(installed, tmp_path, words, code):
    answer = run(installed / "deco", *words, home=tmp_path)

    assert answer.returncode == code
    assert "deco link" in answer.stdout + answer.stderr or VERSION in answer.stdout
