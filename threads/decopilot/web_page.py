"""From the bytes of a fetched page to the text that a model reads; without I/O (ADR 24).

Loading lxml takes a moment, so it is imported by the first HTML page.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

import webencodings

READING_LIMIT: Final = 5.0  # seconds for one page; what comes later is left out
FED: Final = 16 * 1024  # characters that the parser is given between two looks at the clock
DECLARED_WITHIN: Final = 1024  # bytes in which a page names its charset, as in browsers
LINK_LIMIT: Final = 2_000  # characters of one link's target

_LABEL: Final = re.compile(r"""charset\s*=\s*["']?\s*([^\s"';>]+)""", re.IGNORECASE)
_META: Final = re.compile(r"<meta[^>]*", re.IGNORECASE)


def text_of(body: bytes, content_type: str) -> str:
    """Return what a person reads of ``body``.

    Of HTML, that is no scripts, no styles, and links with their targets. Any bytes under any
    label give some text: what can't be decoded becomes U+FFFD.
    """
    is_html = "html" in content_type.partition(";")[0].lower()
    text = _decoded(body, content_type, is_html=is_html)
    return plain_text(text) if is_html else text


def _decoded(body: bytes, content_type: str, *, is_html: bool) -> str:
    """Decode as browsers do: by the byte order mark, the header, the page, else as UTF-8.

    The labels are those of the WHATWG's Encoding Standard. Python's own ``codecs.lookup`` would
    also take ``punycode``, whose time grows with the square of the length, and would keep each
    unknown label of a stranger's for ever.
    """
    found = _encoding(content_type)
    if found is None and is_html:
        found = _declared(body)
    text, _ = webencodings.decode(body, found or webencodings.UTF8, errors="replace")
    return str(text)


def _declared(body: bytes) -> webencodings.Encoding | None:
    for meta in _META.findall(body[:DECLARED_WITHIN].decode("latin-1")):
        if found := _encoding(meta):
            # Its own name was readable as ASCII, so UTF-16 it is not.
            return webencodings.UTF8 if found.name.startswith("utf-16") else found
    return None


def _encoding(text: str) -> webencodings.Encoding | None:
    """Return what the first ``charset=`` of ``text`` names; ``None`` where it is unknown."""
    label = _LABEL.search(text)
    return webencodings.lookup(label[1]) if label else None


def plain_text(html: str) -> str:
    """Return the text of a page, as far as it is read within ``READING_LIMIT``."""
    from lxml import etree

    reader = _Reader()
    # No tree is built: of nested formatting, a tree can become far larger than its page.
    parser = etree.HTMLParser(target=reader, encoding="utf-8", no_network=True, huge_tree=False)
    deadline = time.monotonic() + READING_LIMIT
    try:
        for start in range(0, len(html), FED):
            parser.feed(html[start : start + FED].encode(errors="replace"))
            if time.monotonic() > deadline:
                break
        parser.close()
    except etree.LxmlError:
        pass  # it gave up; what it read until then is shown
    lines = (" ".join(line.split()) for line in "".join(reader.pieces).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Reader:
    """Receives lxml's events (its "parser target interface")."""

    hidden = frozenset({"script", "style", "template", "iframe", "noembed", "noframes"})
    blocks = frozenset(
        (
            *("p", "div", "section", "article", "header", "footer", "main", "aside", "nav"),
            *("li", "ul", "ol", "dt", "dd", "table", "tr", "pre", "blockquote", "form", "br"),
            *("h1", "h2", "h3", "h4", "h5", "h6", "title", "hr", "figure", "body"),
        )
    )

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._hidden = 0
        self._link = ""

    def start(self, tag: str, attributes: Any) -> None:
        if tag in self.hidden:
            self._hidden += 1
        elif tag in self.blocks:
            self.pieces.append("\n- " if tag == "li" else "\n")
        if tag == "a":
            self._link = str(attributes.get("href") or "")[:LINK_LIMIT]

    def end(self, tag: str) -> None:
        if tag in self.hidden:
            self._hidden = max(0, self._hidden - 1)
        elif tag in self.blocks:
            self.pieces.append("\n")
        if tag == "a" and self._link.startswith("http") and not self._hidden:
            self.pieces.append(f" ({self._link})")
            self._link = ""

    def data(self, text: str) -> None:
        if not self._hidden:
            self.pieces.append(text)

    def close(self) -> None:
        """Nothing is left to do: lxml wants the method."""
