"""The few pages that a preview's origin shows itself. Plain HTML: they must work without Mesh."""

from __future__ import annotations

from html import escape
from typing import Final

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;"
    "place-items:center;color:#1c1917;background:#fafaf9}main{max-width:26rem;padding:1.5rem;"
    "text-align:center}h1{font-size:1.1rem;margin:0 0 .5rem}p{margin:0;color:#57534e}"
    "@media(prefers-color-scheme:dark){body{color:#f5f5f4;background:#1c1917}p{color:#a8a29e}}"
)
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"


def page(title: str, text: str, *, reload_after: int = 0) -> bytes:
    """Return a page that says ``text``; ``reload_after``: seconds until it looks again."""
    refresh = f'<meta http-equiv="refresh" content="{reload_after}">' if reload_after else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{refresh}<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f'<body><main role="status"><h1>{escape(title)}</h1><p>{escape(text)}</p></main>'
        "</body></html>"
    ).encode()
