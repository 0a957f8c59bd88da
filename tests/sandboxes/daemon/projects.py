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
# Says what to do by its path: /exit/3 ends it, /silent makes it deaf, /move takes it elsewhere.
ODD_SERVER_PY = """
import http.server, os, socket, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()
    def do_GET(self):
        if self.path.startswith("/exit/"):
            print("I can't go on", flush=True)
            os._exit(int(self.path.rpartition("/")[2]))
        self.do_HEAD()
        self.wfile.write(f"at {self.server.server_port}".encode())
        if self.path == "/move":
            threading.Thread(target=serve, args=(0,)).start()
            self.server.socket.shutdown(socket.SHUT_RDWR)
            self.server.socket.close()
def serve(port):
    server = http.server.HTTPServer(("127.0.0.1", port), Handler)
    print(f"Listening on http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
open("pid", "w").write(str(os.getpid()))
serve(int(os.environ["PORT"]))
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
    return address_of(folder)


def address_of(folder):
    """Return an address at which the tests' ssh finds the repository in ``folder``."""
    return f"ssh://git.example{folder}"


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
