"""Who may change something through the API: the role in the address's organization decides.

The default of every view, so that a new address is closed to viewers unless it says otherwise.
"""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from mesh.lib.errors import AppError
from mesh.lib.roles import Permission, may
from mesh.models import Membership, User


class ReadsOnly(AppError):
    code = "reads_only"
    text = "As a viewer you can read here, but not start or change anything."
    hint = "Ask an owner or admin of the organization for another role."
    status = 403


class MayStart(BasePermission):
    """Refuses requests of viewers that may change something, below ``/api/<org>/``.

    A view with ``open_to_viewers`` takes them: it only stops or tidies up what is their own.
    Strangers pass, and the view answers them that there is nothing.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        slug = view.kwargs.get("org")
        if slug is None or request.method in SAFE_METHODS or is_open_to_viewers(view):
            return True
        if not isinstance(request.user, User):
            return True  # IsAuthenticated refuses it
        roles = Membership.objects.filter(user=request.user, organization__slug=slug)
        role = roles.values_list("role", flat=True).first()
        if role is not None and not may(role, Permission.START):
            raise ReadsOnly
        return True


def is_open_to_viewers(view: Any) -> bool:
    """Return whether a view takes every request of viewers."""
    return bool(getattr(view, "open_to_viewers", False))
