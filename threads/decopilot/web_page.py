"""The conversion of a fetched page's bytes to text for a model; without I/O (ADR 24).

lxml is slow to import, so the first HTML page imports it.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

import webencodings

READING_LIMIT: Final = 5.0  # seconds of parsing for one page; the rest is left out
CHUNK: Final = 16 * 1024  # characters parsed between two checks of the time
DECLARED_WITHIN: Final = 1024  # bytes in which a page names its charset, as in browsers
LINK_LIMIT: Final = 2_000  # characters of one link's target

_LABEL: Final = re.compile(r"""charset\s*=\s*["']?\s*([^\s"';>]+)""", re.IGNORECASE)
_META: Final = re.compile(r"<meta[^>]*", re.IGNORECASE)


def text_of(body: bytes, content_type: str) -> str:
    """Return the text of ``body`` as a person sees it.

    HTML loses its scripts and styles; links keep their targets. Any bytes with any label give
    some text: what can't be decoded becomes U+FFFD.
    """
    is_html = "html" in content_type.partition(";")[0].lower()
    text = _decoded(body, content_type, is_html=is_html)
    return plain_text(text) if is_html else text


def _decoded(body: bytes, content_type: str, *, is_html: bool) -> str:
    """Decode as browsers do: by the byte order mark, the header, the page, else as UTF-8.

    The labels are those of the WHATWG Encoding Standard. Python's own ``codecs.lookup`` would
    also accept ``punycode``, which takes quadratic time, and would cache each unknown label that
    a stranger sends.
    """
    found = _encoding(content_type)
    if found is None and is_html:
        found = _declared(body)
    text, _ = webencodings.decode(body, found or webencodings.UTF8, errors="replace")
    return str(text)


def _declared(body: bytes) -> webencodings.Encoding | None:
    for meta in _META.findall(body[:DECLARED_WITHIN].decode("latin-1")):
        if found := _encoding(meta):
            # The label itself was readable as ASCII, so the page is not UTF-16.
            return webencodings.UTF8 if found.name.startswith("utf-16") else found
    return None


def _encoding(text: str) -> webencodings.Encoding | None:
    """Return the encoding that the first ``charset=`` of ``text`` names; ``None`` if unknown."""
    label = _LABEL.search(text)
    return webencodings.lookup(label[1]) if label else None


def plain_text(html: str) -> str:
    """Return the text of a page, as far as it is parsed within ``READING_LIMIT``."""
    from lxml import etree

    reader = _Reader()
    # No tree is built: nested formatting can make a tree far larger than its page.
    parser = etree.HTMLParser(target=reader, encoding="utf-8", no_network=True, huge_tree=False)
    deadline = time.monotonic() + READING_LIMIT
    try:
        for start in range(0, len(html), CHUNK):
            parser.feed(html[start : start + CHUNK].encode(errors="replace"))
            if time.monotonic() > deadline:
                break
        parser.close()
    except etree.LxmlError:
        pass  # it gave up; the text so far is returned
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
        """Do nothing: lxml requires the method."""
