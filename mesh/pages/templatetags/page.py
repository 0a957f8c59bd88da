"""Tags and filters for the templates of all apps."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

import segno
from django import template
from django.forms import BoundField
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from mesh.pages import stylesheet

register = template.Library()


@register.simple_tag
def stylesheet_url() -> str:
    """Return the address of the stylesheet, which changes with its content."""
    return reverse("stylesheet", args=[stylesheet.current().digest])


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
