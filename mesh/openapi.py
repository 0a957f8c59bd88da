"""OpenAPI's names for the kinds of tokens; drf-spectacular finds the classes when imported."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from mesh.authentication import MachineTokenAuthentication, TokenAuthentication


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[misc]  # it has no types
    """A person's token."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class MachineTokenScheme(TokenScheme):
    """A token for addresses that also accept a machine's."""

    target_class = MachineTokenAuthentication
    name = "machineToken"
