"""Small projects that the tests set up and serve; none of them needs a registry."""

from __future__ import annotations

import json
import subprocess

SERVER_PY = """
import http.server, os, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        body = b"<html><head><title>py</title></head><body>hello from python</body></html>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
print(f"Listening on http://127.0.0.1:{os.environ['PORT']}/", flush=True)
server.serve_forever()
"""
SERVER_JS = """
const http = require("http");
const port = Number(process.env.PORT);
http.createServer((request, response) => {
  response.setHeader("content-type", "text/html");
  response.end("<html><head></head><body>hello from node</body></html>");
}).listen(port, "127.0.0.1", () => console.log(`Local: http://localhost:${port}/`));
"""


def git(folder, *args):
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@mesh.example"]
    done = subprocess.run(
        ["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def repository(folder, files):
    """Make a repository with one commit; return its address."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first", "--allow-empty")
    return f"file://{folder}"


def node_project(**scripts):
    manifest = {"name": "shop", "version": "1.0.0", "scripts": scripts}
    return {"package.json": json.dumps(manifest), "server.js": SERVER_JS}


def python_project(dev=("python", "server.py")):
    return {
        "pyproject.toml": f"[tool.mesh]\ndev = {json.dumps(list(dev))}\n",
        "server.py": SERVER_PY,
    }


def config(clone_url, branch="main", **application):
    return {
        "git": {"repository": {"cloneUrl": clone_url, "branch": branch}},
        "application": application,
    }
