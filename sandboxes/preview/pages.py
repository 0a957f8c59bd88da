"""Mesh's own pages on a preview's origin. Plain HTML: they must work without Mesh's files."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Final

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;"
    "place-items:center;color:#1c1917;background:#fafaf9}main{max-width:26rem;padding:1.5rem;"
    "text-align:center}h1{font-size:1.1rem;margin:0 0 .5rem}p{margin:0;color:#57534e}"
    "@media(prefers-color-scheme:dark){body{color:#f5f5f4;background:#1c1917}p{color:#a8a29e}}"
)
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"
# The ticket is after "#", which reaches no server and no log. This page sends it to the preview's
# origin in the body of a request that no service worker of the app handles, because the page is on
# another origin. Only then does the browser navigate there, with nothing in the address.
_ENTER: Final = """(async () => {
  const { preview } = document.documentElement.dataset;
  const given = new URLSearchParams(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  const said = document.querySelector("p");
  try {
    const asked = { method: "POST", credentials: "include", body: given.get("ticket") ?? "" };
    const answer = await fetch(`${preview}/.mesh/enter`, asked);
    if (!answer.ok) {
      const { error } = await answer.json();
      document.querySelector("h1").textContent = "This link does not open the preview";
      said.textContent = `${error.message} ${error.hint}`;
      return;
    }
    const path = new URL(given.get("path") || "/", preview);
    location.replace(path.origin === preview ? path : preview);
  } catch {
    said.textContent = "Mesh could not be reached. Open the preview from Mesh again.";
  }
})()"""
_ENTER_HASH: Final = b64encode(sha256(_ENTER.encode()).digest()).decode()


def page(title: str, text: str, *, reload_after: int = 0) -> bytes:
    """Return a page with ``text``, which reloads after ``reload_after`` seconds if that is set."""
    refresh = f'<meta http-equiv="refresh" content="{reload_after}">' if reload_after else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{refresh}<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f'<body><main role="status"><h1>{escape(title)}</h1><p>{escape(text)}</p></main>'
        "</body></html>"
    ).encode()


def entry_page(preview: str) -> bytes:
    """Return the entry page of the preview at the origin ``preview``."""
    return (
        f'<!doctype html><html lang="en" data-preview="{escape(preview)}"><head>'
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><title>Opening the preview…</title><style>{_STYLE}</style></head>'
        '<body><main role="status"><h1>Opening the preview…</h1><p></p></main>'
        f"<script>{_ENTER}</script></body></html>"
    ).encode()


def entry_policy(preview: str) -> str:
    """Return that page's CSP: it may run its own script and call the preview's origin."""
    return f"{POLICY}; script-src 'sha256-{_ENTER_HASH}'; connect-src {preview}; form-action 'none'"
