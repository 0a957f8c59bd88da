"""``python -m mesh.health PORT``: exit 0 if the server there is healthy.

For a container's health check. The request names the host that the server accepts, MESH_URL's.
"""

from __future__ import annotations

import http.client
import sys
from urllib.parse import urlsplit

from mesh import env


def main(port: int) -> int:
    """Return 0 if ``/healthz`` on this machine answers 200, else 1."""
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
