"""How a project without a script of its own is recognized, and with what it is served."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.daemon.setup.frameworks import wants_of
from sandboxes.daemon.setup.project import NoStart, Project, start_command, understand


def python(wants: str, **sources: str) -> Project:
    """Return a project with requirements, and sources by their names; ``__`` is a slash."""
    named = {f"{name.replace('__', '/', 1)}.py": text for name, text in sources.items()}
    return understand({"requirements.txt": wants}, has_uv=True, sources=named)


@pytest.mark.parametrize(
    ("project", "command"),
    [
        pytest.param(
            python("streamlit", app="import streamlit as st"),
            "streamlit run app.py --server.headless true"
            " --server.address 127.0.0.1 --server.port 4000",
            id="Streamlit",
        ),
        pytest.param(
            python("gradio", app="import gradio as gr\nwith gr.Blocks() as demo:\n  pass"),
            "gradio app.py",
            id="Gradio",
        ),
        pytest.param(
            python("gradio", app="import gradio as gr\nui = gr.Interface(f, 'text', 'text')"),
            "gradio app.py --demo-name ui",
            id="Gradio by another name",
        ),
        pytest.param(
            python("gradio", app="import gradio as gr\nmake().launch()"),
            "python app.py",
            id="Gradio without a name",
        ),
        pytest.param(
            python("nicegui", main="from nicegui import ui"), "python main.py", id="NiceGUI"
        ),
        pytest.param(python("dash", app="from dash import Dash"), "python app.py", id="Dash"),
        pytest.param(
            python("panel", app="import panel as pn"),
            "panel serve app.py --dev --address 127.0.0.1 --port 4000",
            id="Panel",
        ),
        pytest.param(
            python("Flask==3.1.3 # pinned", app="from flask import Flask\napp = Flask(__name__)"),
            "flask --app app.py run --debug --host 127.0.0.1 --port 4000",
            id="Flask",
        ),
        pytest.param(
            python("flask", server="from flask import Flask\nshop = Flask(__name__)"),
            "flask --app server.py:shop run --debug --host 127.0.0.1 --port 4000",
            id="Flask by another name",
        ),
        pytest.param(
            python("flask", app____init__="from flask import Flask\ndef create_app(): ..."),
            "flask --app app run --debug --host 127.0.0.1 --port 4000",
            id="Flask in a package",
        ),
        pytest.param(
            python("fastapi[standard]", main="from fastapi import FastAPI\napp = FastAPI()"),
            "fastapi dev main.py --host 127.0.0.1 --port 4000",
            id="FastAPI",
        ),
        pytest.param(
            python("fastapi\nuvicorn", app__main="import fastapi\napi = fastapi.FastAPI(x=1)"),
            "uvicorn app.main:api --reload --host 127.0.0.1 --port 4000",
            id="FastAPI with uvicorn",
        ),
        pytest.param(
            python("fastapi\nuvicorn", src__main="import fastapi\napp: X = fastapi.FastAPI()"),
            "uvicorn main:app --app-dir src --reload --host 127.0.0.1 --port 4000",
            id="in src, which is no package",
        ),
        pytest.param(
            python(
                "starlette\nhypercorn",
                asgi="from starlette.applications import Starlette\napp = Starlette()",
            ),
            "hypercorn asgi:app --reload --bind 127.0.0.1:4000",
            id="Starlette",
        ),
        pytest.param(
            python("marimo", notebook="import marimo"),
            "marimo edit notebook.py --headless --host 127.0.0.1 --port 4000",
            id="marimo",
        ),
        pytest.param(
            python("jupyterlab"),
            "jupyter lab --no-browser --ip 127.0.0.1 --port 4000",
            id="Jupyter",
        ),
        pytest.param(
            python("fastapi\nstreamlit", app="import streamlit", api="import fastapi"),
            "streamlit run app.py --server.headless true"
            " --server.address 127.0.0.1 --server.port 4000",
            id="pages before what serves data",
        ),
        pytest.param(
            python("jupyterlab\nflask", app="from flask import Flask\napp = Flask('x')"),
            "flask --app app.py run --debug --host 127.0.0.1 --port 4000",
            id="a tool that is only there besides",
        ),
        pytest.param(
            understand(
                {"pyproject.toml": '[dependency-groups]\ndocs = ["MkDocs >= 1"]', "mkdocs.yml": ""},
                has_uv=True,
            ),
            "mkdocs serve --dev-addr 127.0.0.1:4000",
            id="MkDocs",
        ),
    ],
)
def test_a_python_project_is_served_by_what_it_depends_on(project, command):
    assert start_command(project, port=4000) == ("dev", command.split())


@pytest.mark.parametrize(
    ("files", "names", "command"),
    [
        ({}, ["go.mod"], "go run ."),
        ({}, ["Cargo.toml"], "cargo run"),
        ({}, ["Cargo.toml", "Trunk.toml"], "trunk serve --address 127.0.0.1 --port 4000"),
        ({"Gemfile": "rails"}, ["bin/rails"], "ruby bin/rails server -b 127.0.0.1 -p 4000"),
        ({"Gemfile": "rack"}, ["config.ru"], "bundle exec rackup --host 127.0.0.1 --port 4000"),
        (
            {"Gemfile": "gem 'jekyll'"},
            ["_config.yml"],
            "bundle exec jekyll serve --livereload --host 127.0.0.1 --port 4000",
        ),
        ({}, ["_config.yml"], "jekyll serve --livereload --host 127.0.0.1 --port 4000"),
        ({}, ["hugo.toml"], "hugo server --bind 127.0.0.1 --port 4000"),
        ({}, ["config.toml", "content/a.md"], "hugo server --bind 127.0.0.1 --port 4000"),
        ({}, ["artisan", "public/index.php"], "php artisan serve --host=127.0.0.1 --port=4000"),
        ({}, ["public/index.php"], "php -S 127.0.0.1:4000 -t public"),
        ({}, ["index.php", "index.html"], "php -S 127.0.0.1:4000"),
        ({"mix.exs": "{:phoenix, 1}"}, [], "mix phx.server"),
        ({"mix.exs": ""}, [], "mix run --no-halt"),
        ({}, ["Shop.csproj"], "dotnet watch run --urls http://127.0.0.1:4000"),
        (
            {"pom.xml": "<artifactId>spring-boot-starter</artifactId>"},
            ["mvnw"],
            "sh mvnw spring-boot:run -Dspring-boot.run.arguments=--server.port=4000",
        ),
        ({"pom.xml": "io.quarkus"}, [], "mvn quarkus:dev -Dquarkus.http.port=4000"),
        (
            {"build.gradle.kts": 'id("org.springframework.boot")'},
            ["gradlew"],
            "sh gradlew bootRun --args=--server.port=4000",
        ),
        ({}, ["index.html"], "mesh-static 4000"),
    ],
)
def test_a_project_of_another_language_is_served_as_usual(files, names, command):
    project = understand(files, names=names)

    assert start_command(project, port=4000) == ("dev", command.split())


@pytest.mark.parametrize(
    ("project", "reason"),
    [
        (
            python("fastapi", main="from fastapi import FastAPI\napp = FastAPI()"),
            "fastapi.standard",
        ),
        (python("flask"), "depends on Flask, but no file"),
        (python("mkdocs"), "no mkdocs.yml"),
        (python("requests"), "no web framework that Mesh knows"),
        (understand({"pom.xml": "<project/>"}), "names no server"),
        (understand({}), "nor another file that says what serves it"),
    ],
)
def test_what_is_missing_is_said(project, reason):
    with pytest.raises(NoStart, match=reason):
        start_command(project, port=4000)


@given(st.text(), st.text())
def test_whatever_a_project_writes_it_is_read(requirements, pyproject):
    files = {"requirements.txt": requirements, "pyproject.toml": pyproject}

    assert all(name == name.lower() for name in wants_of(files))


@given(
    st.text(alphabet="a=Flask()\n:. ,mport[]"),
    st.sampled_from(["flask", "fastapi", "gradio", "starlette", "dash"]),
)
def test_whatever_a_source_says_a_command_names_only_files_that_are_there(text, package):
    source = f"import {package}\n{text}"
    project = python(package, app=source)
    try:
        _, argv = start_command(project, port=4000)
    except NoStart:
        return
    assert any(word.startswith("app") for word in argv[1:])
