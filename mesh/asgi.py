"""The server's ASGI application: pages and API, sockets, and what runs beside them.

This is the composition root: only here do the apps learn of each other. Events go up from
``links`` to ``threads`` through the handlers given to the gateway.
"""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mesh.settings")

from django.core.asgi import get_asgi_application

application = get_asgi_application()
