"""The texts that start a link by itself."""

import plistlib
import shutil
import subprocess

import pytest

from links.daemon import service_files
from links.daemon.service_files import Service
from mesh import launch

SERVICE = Service(
    server="https://mesh.example",
    argv=("/usr/bin/python3", "-m", "links.daemon.deco", "link", "https://mesh.example"),
    environ={"PATH": "/usr/bin:/home/ada/.local/bin"},
)


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("https://mesh.example", "mesh-link-mesh-example"),
        ("http://127.0.0.1:8321", "mesh-link-127-0-0-1-8321"),
        ("https://example.org/mesh", "mesh-link-example-org-mesh"),
    ],
)
def test_each_server_has_a_name_of_its_own(server, name):
    assert Service(server, (), {}).name == name


def test_the_unit():
    assert service_files.unit(SERVICE) == (
        "[Unit]\n"
        "Description=Mesh link to https://mesh.example\n"
        "StartLimitIntervalSec=0\n"
        "\n"
        "[Service]\n"
        'ExecStart="/usr/bin/python3" "-m" "links.daemon.deco" "link" "https://mesh.example"\n'
        'Environment="PATH=/usr/bin:/home/ada/.local/bin"\n'
        "WorkingDirectory=/\n"
        "Restart=always\n"
        "RestartSec=5\n"
        "RestartPreventExitStatus=2 3 4 5\n"
        "# Agents at work outlive a link that is stopped or started again.\n"
        "KillMode=process\n"
        "\n"
        "[Install]\n"
        "WantedBy=default.target\n"
    )


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("a b", '"a b"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("100%", '"100%%"'),
        ("$HOME", '"$$HOME"'),
    ],
)
def test_no_character_of_a_command_has_a_meaning(word, written):
    text = service_files.unit(Service("https://x.example", (word,), {}))

    assert f"ExecStart={written}\n" in text


@pytest.mark.parametrize("odd", ["a\nExecStart=evil", "a\x00b", "\x7f"])
def test_what_no_unit_can_hold_is_refused(odd):
    with pytest.raises(ValueError, match="can't be written"):
        service_files.unit(Service("https://x.example", (odd,), {}))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_it(tmp_path):
    path = tmp_path / "mesh-link-x.service"
    path.write_text(service_files.unit(SERVICE))

    answer = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(path)], capture_output=True, text=True
    )

    assert str(path) not in answer.stderr


def test_the_plist():
    value = plistlib.loads(service_files.plist(SERVICE))

    assert value["Label"] == "mesh-link-mesh-example"
    assert value["ProgramArguments"] == list(SERVICE.argv)
    assert value["RunAtLoad"]
    assert value["WorkingDirectory"] == "/"
    assert value["KeepAlive"]
    assert value["AbandonProcessGroup"]


@pytest.mark.parametrize(
    ("program", "argv"),
    [
        ("/srv/mesh/manage.py", ["manage", "deco_link", "S"]),
        ("/venv/bin/deco", ["links.daemon.deco", "link", "S"]),
    ],
)
def test_it_starts_the_program_as_it_was_started(program, argv):
    started = service_files.argv_of(["S"], executable="/py", program=program)

    assert list(started) == launch.command(*argv, executable="/py")


@pytest.mark.parametrize(
    ("executable", "passing"),
    [
        ("/home/ada/.cache/uv/archive-v0/x/bin/python", True),
        ("/home/ada/.local/share/uv/tools/mesh-link/bin/python", False),
    ],
)
def test_a_copy_that_uv_may_clean_up_is_known(executable, passing):
    assert service_files.is_temporary(executable) is passing
