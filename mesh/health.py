"""``python -m mesh.health PORT``: exits 0 when the server there says that it is well.

For a container's health check. It names the host that the server answers to, MESH_URL's.
"""

from __future__ import annotations

import http.client
import sys
from urllib.parse import urlsplit

from mesh import env


def main(port: int) -> int:
    """Return 0 when ``/healthz`` on this machine answers 200, else 1."""
    host = urlsplit(env.read().url).netloc or "localhost"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/healthz", headers={"Host": host})
        answer = connection.getresponse()
        print(answer.status, answer.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException) as exc:
        print(exc)
        return 1
    finally:
        connection.close()
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
