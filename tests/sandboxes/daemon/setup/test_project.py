"""How a project is recognized by its files, installed and started."""

from __future__ import annotations

import json

import pytest

from sandboxes.daemon.setup.project import (
    NoStart,
    install_commands,
    script_command,
    start_command,
    understand,
)

PACKAGE = json.dumps({"scripts": {"dev": "x", "start": "y"}})


@pytest.mark.parametrize(
    ("files", "manager"),
    [
        pytest.param({"package.json": PACKAGE}, "npm", id="nothing else"),
        pytest.param({"package.json": PACKAGE, "pnpm-lock.yaml": ""}, "pnpm", id="pnpm"),
        pytest.param({"package.json": PACKAGE, "yarn.lock": ""}, "yarn", id="yarn"),
        pytest.param({"package.json": PACKAGE, "bun.lock": ""}, "bun", id="bun"),
        pytest.param({"package.json": '{"packageManager": "pnpm@9"}'}, "pnpm", id="named"),
        pytest.param({"package.json": "{"}, "npm", id="broken"),
        pytest.param({"deno.jsonc": '// a\n{"tasks": {"dev": "x"}}'}, "deno", id="deno"),
        pytest.param({"pyproject.toml": ""}, "uv", id="pyproject"),
        pytest.param({"requirements.txt": ""}, "uv", id="requirements"),
        pytest.param({}, "", id="nothing"),
    ],
)
def test_whose_project_it_is(files, manager):
    assert understand(files, has_uv=True).manager == manager


def test_what_a_person_chose_wins():
    assert understand({"package.json": PACKAGE, "yarn.lock": ""}, manager="bun").manager == "bun"


@pytest.mark.parametrize(
    ("files", "manager", "commands"),
    [
        (
            {"package.json": "{}"},
            "npm",
            [["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]],
        ),
        ({"package.json": "{}", "pnpm-lock.yaml": ""}, "pnpm", [["pnpm", "install"]]),
        ({"package.json": "{}"}, "yarn", [["yarn", "install", "--no-lockfile"]]),
        (
            {"package.json": '{"packageManager": "yarn@1.22.22"}'},
            "yarn",
            [["yarn", "install", "--no-lockfile"]],
        ),
        ({"package.json": '{"packageManager": "yarn@4.9.1"}'}, "yarn", [["yarn", "install"]]),
        ({"package.json": "{}", ".yarnrc.yml": ""}, "yarn", [["yarn", "install"]]),
        ({"package.json": "{}", "bun.lockb": ""}, "bun", [["bun", "install"]]),
        ({"deno.json": "{}"}, "deno", []),
        ({}, "npm", []),
        ({"uv.lock": "", "pyproject.toml": ""}, "uv", [["uv", "sync", "--frozen"]]),
        (
            {"requirements.txt": ""},
            "pip",
            [
                ["python3", "-I", "-m", "venv", ".venv"],
                [
                    *(".venv/bin/python", "-I", "-m", "pip", "install"),
                    "--disable-pip-version-check",
                    *("-r", "requirements.txt"),
                ],
            ],
        ),
        (
            {"pyproject.toml": '[project]\ndependencies = ["django"]'},
            "uv",
            [
                ["uv", "venv", "--quiet", "--allow-existing", ".venv"],
                ["uv", "pip", "install", "--python", ".venv/bin/python", "-r", "pyproject.toml"],
            ],
        ),
    ],
)
def test_how_it_is_installed(files, manager, commands):
    assert install_commands(understand(files, manager=manager)) == commands


def test_what_a_project_needs_is_no_option_of_pip():
    files = {"pyproject.toml": '[project]\ndependencies = ["--target=/elsewhere"]'}

    install = install_commands(understand(files, manager="pip"))[-1]

    assert install[-2:] == ["--", "--target=/elsewhere"]


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"package.json": PACKAGE}, ("dev", ["npm", "run", "dev"])),
        ({"package.json": '{"scripts": {"start": "y"}}'}, ("start", ["npm", "run", "start"])),
        ({"deno.json": '{"tasks": {"dev": "x"}}'}, ("dev", ["deno", "task", "dev"])),
        (
            {"requirements.txt": "", "manage.py": ""},
            ("dev", [".venv/bin/python", "manage.py", "runserver", "127.0.0.1:4000"]),
        ),
        (
            {"pyproject.toml": '[tool.mesh]\ndev = ["flask", "run", "-p", "{port}"]'},
            ("dev", ["flask", "run", "-p", "4000"]),
        ),
        ({"mesh.toml": 'dev = ["./serve", "{host}"]'}, ("dev", ["./serve", "127.0.0.1"])),
    ],
)
def test_how_it_is_started(files, command):
    assert start_command(understand(files, has_uv=True), port=4000) == command


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "no package.json"),
        ({"package.json": "{}"}, "has no scripts"),
        ({"package.json": '{"scripts": {"test": "x", "lint": "y"}}'}, "only: lint, test"),
        ({"requirements.txt": ""}, "manage.py"),
        ({"mesh.toml": "dev = 7", "requirements.txt": ""}, "manage.py"),
    ],
)
def test_why_it_can_t_be_started(files, reason):
    with pytest.raises(NoStart, match=reason):
        start_command(understand(files, has_uv=True), port=1)


def test_a_script_runs_with_the_project_s_manager():
    project = understand({"package.json": PACKAGE, "pnpm-lock.yaml": ""})

    assert script_command(project, "start") == ["pnpm", "run", "start"]


@pytest.mark.parametrize(
    "scripts",
    [
        pytest.param([], id="a list"),
        pytest.param("dev", id="a string"),
        pytest.param(None, id="null"),
    ],
)
def test_scripts_in_another_form_count_as_none(scripts):
    assert understand({"package.json": json.dumps({"scripts": scripts})}).scripts == {}


def test_mesh_toml_outranks_the_project_s_pyproject():
    files = {"mesh.toml": "port = 1234", "pyproject.toml": "[tool.mesh]\nport = 4321"}

    assert understand(files).port == 1234
