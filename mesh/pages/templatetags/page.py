"""Tags and filters for the templates of all apps."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache

import segno
from django import template
from django.forms import BoundField
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from mesh.lib import marks
from mesh.pages import stylesheet

register = template.Library()


@register.simple_tag
def stylesheet_url() -> str:
    """Return the address of the stylesheet, which changes with its content."""
    return reverse("stylesheet", args=[stylesheet.current().digest])


@register.simple_tag
def panel_stylesheet_url() -> str:
    """Return the address of the work panel's stylesheet, which changes with its content."""
    return reverse("panel-stylesheet", args=[stylesheet.of_panel().digest])


@register.simple_tag
@lru_cache(maxsize=16)
def qr_of(address: str) -> SafeString:
    """Return the QR code of an address as inline SVG, without a size: the stylesheet sets it."""
    code = segno.make(address, error="m", micro=False)
    return SafeString(code.svg_inline(omitsize=True, border=2, svgclass=None, lineclass=None))


@register.filter
def as_input(field: BoundField) -> SafeString:
    """Return the field's widget with our style, marked as invalid if it has errors."""
    attrs: dict[str, str | bool] = {"class": "input"}
    if field.errors:
        attrs["aria-invalid"] = "true"
    return field.as_widget(attrs=attrs)


@register.filter
def ago(moment: datetime) -> str:
    """Return how long ago ``moment`` was, in words."""
    now = timezone.now()
    if now - moment < timedelta(minutes=1):
        return "just now"
    return f"{timesince(moment, now, depth=1)} ago"


@register.filter
def exact(text: object) -> SafeString:
    """Return a name, path or command with what nobody sees marked, apart from what surrounds it."""
    return _marked(marks.exact(_str(text)), 'bdi dir="ltr"')


@register.filter
def readable(text: object) -> SafeString:
    """Return words with what nobody sees marked, apart from what surrounds them."""
    return _marked(marks.readable(_str(text)), "bdi")


@register.filter
def exact_text(text: object) -> str:
    """As ``exact``, for an attribute or a page's title, where no element can be."""
    return marks.exact_text(_str(text))


@register.filter
def readable_text(text: object) -> str:
    """As ``readable``, for an attribute or a page's title, where no element can be."""
    return marks.readable_text(_str(text))


def _str(value: object) -> str:
    return "" if value is None else str(value)


def _marked(text: str, tag: str) -> SafeString:
    if (
        text.isascii()
    ):  # nothing in it is marked, or turns anything; {% firstof %} sees an empty one
        return escape(text)

    def element(found: re.Match[str]) -> str:
        return f'<span class="odd" title="{escape(marks.meaning_of(found[1]))}">{found[0]}</span>'

    return SafeString(f"<{tag}>{marks.MARK.sub(element, escape(text))}</bdi>")
