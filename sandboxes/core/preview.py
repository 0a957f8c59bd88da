"""The preview that a request is for, by its Host (``mesh.lib.origins``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from links.wire.names import is_handle
from mesh.lib.origins import ENTRY, PREVIEW, entry_pattern, is_local, origin_pattern
from sandboxes.core.headers import COOKIE, HOST_COOKIE

# "empty" is the value for a navigation that the preview's own service worker passes on. No page can
# send it, because fetch refuses the mode "navigate".
_SHOWN: Final = ("document", "iframe", "frame", "empty")
_HOST: Final = re.compile(r"(?P<name>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")


def handle_of_host(host: str, *, mesh_url: str) -> str | None:
    """Return the handle of the preview at ``host``.

    "" for a host under the previews' domain that is no sandbox's; ``None`` for any other host.
    """
    found = _HOST.fullmatch(host.lower().rstrip("."))
    if found is None:
        return None
    name = found["name"]
    for base in _bases(mesh_url):
        if name.endswith(f".{base}"):
            label = name.removesuffix(f".{base}")
            return label if is_handle(label) and label != ENTRY else ""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The origin of one preview, and the origin of its entry page."""

    own: str
    entry: str

    @property
    def is_https(self) -> bool:
        return self.own.startswith("https:")

    @property
    def is_of_another_site(self) -> bool:
        """Whether browsers take Mesh's page and the preview for two sites.

        Under a public name they are one. ``*.localhost`` is another than ``localhost``, where a
        frame only gets partitioned cookies.
        """
        return urlsplit(self.own).netloc.partition(":")[0].endswith(".localhost")

    @property
    def cookie_name(self) -> str:
        return HOST_COOKIE if self.is_https else COOKIE

    def lets_ask(self, method: str, headers: Mapping[str, str]) -> bool:
        """Return whether a request with these headers is allowed.

        The preview's own pages may send any request, and so may clients that are not pages. All
        previews are on one site, so a browser also sends the cookie for a page of another preview:
        such a page may only navigate here, as a link does.
        """
        if site := headers.get("sec-fetch-site", ""):
            navigates = headers.get("sec-fetch-mode") == "navigate" and method == "GET"
            return site in ("same-origin", "none") or (
                navigates and headers.get("sec-fetch-dest") in _SHOWN
            )
        return self.is_own(headers.get("origin", ""))

    def is_own(self, origin: str) -> bool:
        """Return whether an Origin header is the preview's or empty."""
        return not origin or origin == self.own

    def set_cookie(self, value: str, *, lives: int) -> str:
        """Return the header that sets the preview's cookie."""
        if self.is_of_another_site:
            kind = "SameSite=None; Secure; Partitioned"
        else:
            kind = "SameSite=Lax; Secure" if self.is_https else "SameSite=Lax"
        return f"{self.cookie_name}={value}; Path=/; HttpOnly; Max-Age={lives}; {kind}"


def origin_of(handle: str, *, mesh_url: str, host: str) -> Origin:
    """Return the origin of a preview; ``host`` is the Host of the request, for its port."""
    port = port_of(host)
    own = origin_pattern(mesh_url=mesh_url, port=port)
    entry = entry_pattern(mesh_url=mesh_url, port=port)
    return Origin(own=own.replace("{handle}", handle), entry=entry.replace("{handle}", handle))


def is_entry(host: str, *, handle: str, mesh_url: str) -> bool:
    """Return whether ``host`` is the entry of the preview of ``handle``."""
    found = _HOST.fullmatch(host.lower().rstrip("."))
    if found is None or not is_handle(handle):
        return False
    names = {
        f"{ENTRY}.{handle}.{base}" if base == "localhost" else f"{ENTRY}.{base}"
        for base in _bases(mesh_url)
    }
    return found["name"] in names


def port_of(host: str) -> str:
    """Return the port in a Host header, or ""."""
    found = _HOST.fullmatch(host.lower())
    return (found["port"] or "") if found else ""


def _bases(mesh_url: str) -> list[str]:
    name = urlsplit(mesh_url).hostname or ""
    public = [f"{PREVIEW}.{name}"] if name and not is_local(name) else []
    return public or ["localhost"]
