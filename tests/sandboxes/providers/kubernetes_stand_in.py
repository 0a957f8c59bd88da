"""Stands in for the Kubernetes API and the agent-sandbox controller: it checks each request
against the schema of SandboxClaim (v1beta1), and starts a real sandbox process per claim."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.sandboxes.daemon.sandbox import ROOT_OF_THE_CODE
from tests.servers import free_port

SANDBOXES = "/apis/agents.x-k8s.io/v1beta1/namespaces/sandboxes/sandboxes"
API = "/apis/extensions.agents.x-k8s.io/v1beta1/namespaces/sandboxes/sandboxclaims"
FIELDS = {
    "": {"apiVersion", "kind", "metadata", "spec"},
    "metadata": {"name", "labels", "annotations"},
    "spec": {
        "warmPoolRef",
        "ttlSecondsAfterCreated",
        "lifecycle",
        "additionalPodMetadata",
        "env",
        "volumeClaimTemplates",
    },
}
TOKEN = "token of the server's account"


class KubernetesStandIn:
    """``ready``: whether claims become ready; ``reason``: why they don't. ``port`` is that of
    the sandbox, which is one at a time."""

    def __init__(self, folder):
        self.folder = folder
        self.claims, self.asked, self.processes = {}, [], {}
        self.ready, self.reason = True, "Pending"
        self.suspended, self.has_volume = set(), True
        self.port = free_port()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def kubeconfig(self, token=TOKEN):
        path = self.folder / "kubeconfig"
        server = f"http://127.0.0.1:{self.server.server_port}"
        parts = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }
        path.write_text(json.dumps(parts))  # JSON is YAML
        return str(path)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        for name in list(self.processes):
            self.end(name)

    def kill(self):
        """Kill the sandbox as a node's failure would; the kubelet starts it again."""
        for process in self.processes.values():
            process.kill()
            process.wait(10)

    def hang(self):
        """Let the sandbox live without answering anybody."""
        for process in self.processes.values():
            process.send_signal(signal.SIGSTOP)

    def answer(self, method, path, body):
        """Return status and body."""
        self.asked.append((method, path))
        if path.startswith(SANDBOXES):
            return self.answer_of_sandbox(method, path.removeprefix(f"{SANDBOXES}/pool-"), body)
        name = path.removeprefix(API).lstrip("/")
        if not path.startswith(API):
            return 404, status(404, "the server could not find the requested resource")
        if method == "POST":
            return self.create(body)
        if name not in self.claims:
            return 404, status(404, f'sandboxclaims "{name}" not found')
        if method == "DELETE":
            self.end(name)
            self.suspended.discard(name)
            return 200, self.claims.pop(name)
        if method == "PATCH":
            self.claims[name]["spec"].update(body["spec"])
        elif self.ready:
            self.run(name)
        return 200, self.shown(name)

    def answer_of_sandbox(self, method, name, body):
        """A claim's Sandbox has a name of the pool's; of it only the mode can be changed."""
        if name not in self.claims:
            return 404, status(404, f'sandboxes "pool-{name}" not found')
        if method == "PATCH":
            if body not in ({"spec": {"operatingMode": m}} for m in ("Running", "Suspended")):
                return 422, status(422, "spec: Unsupported value")
            if body["spec"]["operatingMode"] == "Suspended":
                self.suspended.add(name)
                self.end(name)
            else:
                self.suspended.discard(name)
        volumes = [{"metadata": {"name": "sandbox"}}] if self.has_volume else []
        mode = "Suspended" if name in self.suspended else "Running"
        return 200, {
            "metadata": {"name": f"pool-{name}"},
            "spec": {"operatingMode": mode, "volumeClaimTemplates": volumes},
        }

    def create(self, claim):
        wrong = problem(claim)
        if wrong:
            return 422, status(422, wrong)
        name = claim["metadata"]["name"]
        if name in self.claims:
            return 409, status(409, f'sandboxclaims "{name}" already exists')
        self.claims[name] = claim
        return 201, claim

    def run(self, name):
        process = self.processes.get(name)
        if name in self.suspended:
            return
        if process is not None and process.poll() is None:
            return
        env = {one["name"]: one["value"] for one in self.claims[name]["spec"]["env"]}
        argv = [sys.executable, "-m", "tests.sandboxes.daemon.sandbox_main"]
        listen = ["--listen", f"127.0.0.1:{self.port}"]
        self.processes[name] = subprocess.Popen(
            [*argv, "--root", str(self.folder / name), *listen],
            cwd=ROOT_OF_THE_CODE,
            env={**os.environ, **env},
            stderr=subprocess.DEVNULL,
        )

    def end(self, name):
        if process := self.processes.pop(name, None):
            process.terminate()
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:  # as the kubelet does after the grace
                process.kill()
                process.wait(20)

    def shown(self, name):
        is_ready = self.ready and name not in self.suspended
        reason = "SandboxSuspended" if name in self.suspended else self.reason
        ready = {
            "type": "Ready",
            "status": "True" if is_ready else "False",
            "reason": "Ready" if is_ready else reason,
            "message": "" if is_ready else f"because of {reason}",
        }
        addresses = {"podIPs": ["127.0.0.1"]} if is_ready else {}
        return {
            **self.claims[name],
            "status": {"conditions": [ready], "sandbox": {"name": f"pool-{name}", **addresses}},
        }

    def _handler(self):
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self):
                length = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(length) or "null")
                if self.headers.get("authorization") != f"Bearer {TOKEN}":
                    code, said = 403, status(403, "sandboxclaims is forbidden")
                else:
                    code, said = stand_in.answer(self.command, self.path.partition("?")[0], body)
                data = json.dumps(said).encode()
                self.send_response(code)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = do

            def log_message(self, *args):
                pass

        return Handler


def status(code, message):
    return {"kind": "Status", "apiVersion": "v1", "code": code, "message": message}


def problem(claim):
    """Return what is wrong with a claim, as strict field validation would say it."""
    for where, allowed in FIELDS.items():
        part = claim.get(where) if where else claim
        if not isinstance(part, dict):
            return f"{where}: Required value"
        if unknown := set(part) - allowed:
            return f"unknown field {where}.{unknown.pop()}"
    if (claim["apiVersion"], claim["kind"]) != (
        "extensions.agents.x-k8s.io/v1beta1",
        "SandboxClaim",
    ):
        return "wrong kind"
    if set(claim["spec"].get("warmPoolRef", {})) != {"name"}:
        return "spec.warmPoolRef: Required value"
    if claim["spec"].get("lifecycle", {}).get("shutdownPolicy", "Retain") not in {
        "Delete",
        "Retain",
    }:
        return "spec.lifecycle.shutdownPolicy: Unsupported value"
    if any(len(value) > 63 for value in claim["metadata"].get("labels", {}).values()):
        return "metadata.labels: too long"
    return ""
