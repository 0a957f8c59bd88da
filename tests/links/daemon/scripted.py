"""An HTTP server that answers by script, and remembers what it was asked."""

import http.server
import json
import threading
from urllib.parse import parse_qsl


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.server.asked.append((self.path, dict(parse_qsl(body))))
        script = self.server.script
        answer = script.pop(0) if len(script) > 1 else script[0]
        status, said = answer() if callable(answer) else answer
        text = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class ScriptedServer(http.server.ThreadingHTTPServer):
    """``script``: a list of (status, JSON or bytes), or of functions of it; the last one stays."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked, self.script = [], [(500, b"")]
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self._thread.join()
        self.server_close()


def tokens(name, life=3600):
    """The answer with which a server gives tokens."""
    return 200, {
        "access_token": f"access-{name}",
        "refresh_token": f"refresh-{name}",
        "expires_in": life,
        "token_type": "Bearer",
    }


def refusal(error):
    return 400, {"error": error}
