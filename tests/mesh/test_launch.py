"""Programs of ours take their modules from us, and from nowhere that an agent can write to."""

import ast
import os
import re
import subprocess
import sys

import pytest

from mesh import launch
from mesh.develop import OURS, ROOT

# Those who may name an interpreter themselves, and why.
OTHERS = {
    "mesh/launch.py": "the one place that builds these command lines",
    "mesh/develop.py": "starts the tools of a developer, in the checkout that they work on",
    "mesh/bootstrap.py": "names the Python of .venv, and tries the machine's own for its version",
    "links/daemon/config.py": "the words of a command that a person is told to type",
    "links/daemon/commands/service.py": "hands its own interpreter to launch.command",
}
# A program of ours in a text: the image's own modules only, or nothing but the code's own folder.
IN_TEXT = re.compile(r"""python3?["',\s]+(?P<isolated>-I["',\s]+)?-m["',\s]+(?P<module>[\w.]+)""")
SAFE_IMAGE = "PYTHONSAFEPATH=1 PYTHONNOUSERSITE=1 PYTHONPATH=/opt/mesh"


def sources():
    for app in OURS:
        for path in sorted((ROOT / app).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())
    yield "manage.py", ast.parse((ROOT / "manage.py").read_text())


def names_an_interpreter(node):
    """``sys.executable``, or a command line that holds a Python or a ``-m`` as words."""
    if isinstance(node, ast.Attribute):
        return node.attr in ("executable", "_base_executable")
    if not isinstance(node, ast.List | ast.Tuple):
        return False
    words = [each.value for each in node.elts if isinstance(each, ast.Constant)]
    return "-m" in words and "-I" not in words


def test_every_python_is_started_through_one_function():
    found = {
        name
        for name, tree in sources()
        for node in ast.walk(tree)
        if names_an_interpreter(node) and name not in OTHERS
    }

    assert found == set()


def test_the_walk_sees_each_way_to_name_an_interpreter():
    ways = ["sys.executable", "(python, '-m', 'venv')", "['python', '-m', 'x']"]

    assert all(any(map(names_an_interpreter, ast.walk(ast.parse(way)))) for way in ways)


@pytest.mark.parametrize(
    "name", ["sandboxes/Dockerfile", "docs/sandbox-kinds.md", "sandboxes/providers/docker.py"]
)
def test_a_container_s_program_is_isolated(name):
    found = IN_TEXT.finditer((ROOT / name).read_text())

    started = [each for each in found if each["module"] == "sandboxes.daemon"]
    assert started
    assert all(each["isolated"] for each in started)


def test_the_servers_image_takes_modules_from_itself_only():
    text = (ROOT / "Dockerfile").read_text()

    assert SAFE_IMAGE in text
    assert 'CMD ["python", "manage.py", "mesh_serve"' in text


@pytest.fixture
def planted(tmp_path):
    """A folder full of modules that a program of ours must not load, and an environment."""
    trap = "raise SystemExit('a planted module was loaded')\n"
    for name in ("sitecustomize", "usercustomize", "json", "asyncio", "mesh", "sandboxes", "links"):
        (tmp_path / f"{name}.py").write_text(trap)
    site = _user_site(tmp_path)
    site.mkdir(parents=True)
    (site / "trap.pth").write_text("import os; os._exit(77)\n")
    return {"PYTHONPATH": str(tmp_path), "HOME": str(tmp_path), "PATH": ":.:/usr/bin:/bin"}


def _user_site(home):
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return home / ".local" / "lib" / version / "site-packages"


@pytest.mark.programs
@pytest.mark.parametrize("module", ["sandboxes.daemon", "links.daemon.deco", "manage"])
def test_nothing_that_lies_in_the_folder_or_the_home_is_loaded(module, planted, tmp_path):
    argv = launch.command(module, "--help")

    ran = subprocess.run(argv, cwd=tmp_path, env=planted, capture_output=True, text=True)

    said = ran.stdout + ran.stderr
    assert (ran.returncode, "planted" in said) == (0, False), said


def test_without_it_a_planted_module_is_loaded(planted, tmp_path):
    argv = [sys.executable, "-m", "sandboxes.daemon"]

    ran = subprocess.run(argv, cwd=tmp_path, env=planted, capture_output=True, text=True)

    assert "planted" in ran.stderr


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        pytest.param("/usr/bin:/bin", "/usr/bin:/bin", id="as it should be"),
        pytest.param(":/bin", "/bin", id="an empty entry is the working folder"),
        pytest.param("/bin:", "/bin", id="also at the end"),
        pytest.param(".:bin:../x:/bin", "/bin", id="relative"),
        pytest.param("/home/ada/shop:/home/ada/shop/bin:/bin", "/bin", id="the agents' folder"),
        pytest.param("/home/ada/shop/../shop/bin:/bin", "/bin", id="by another way"),
        pytest.param(
            "/home/ada/shopping:/bin", "/home/ada/shopping:/bin", id="a folder of a longer name"
        ),
        pytest.param("", os.defpath, id="none"),
    ],
)
def test_a_path_has_no_entry_that_agents_fill(path, safe):
    assert launch.safe_path(path, "/home/ada/shop") == safe


def test_a_link_into_the_agents_folder_is_left_out(tmp_path):
    (tmp_path / "shop/bin").mkdir(parents=True)
    (tmp_path / "bin").symlink_to(tmp_path / "shop/bin")

    path = f"{tmp_path / 'bin'}:/bin"

    assert launch.safe_path(path, str(tmp_path / "shop")) == "/bin"


def test_a_program_of_ours_has_no_relative_entry_in_its_path(tmp_path):
    (tmp_path / "git").write_text("#!/bin/sh\necho planted\n")
    (tmp_path / "git").chmod(0o755)
    code = "import shutil, mesh.launch as own; own.make_path_safe(); print(shutil.which('git'))"
    env = {"PATH": f".:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True
    )

    assert ran.stdout.strip().startswith("/")
    assert str(tmp_path) not in ran.stdout
