"""How OpenAPI names the kinds of tokens; drf-spectacular finds the classes once they are loaded."""

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
    """A token of addresses that take a machine's, too."""

    target_class = MachineTokenAuthentication
    name = "machineToken"
