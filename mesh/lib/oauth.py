"""Names that server and laptop share when a machine signs in (RFC 6749, 8628)."""

from __future__ import annotations

from typing import Final

CLIENT_ID: Final = "mesh-link"
SCOPE: Final = "link"  # a machine's token: it does that machine's work, and nothing else
USER_SCOPE: Final = "user"  # a person's own token: it may do what its person may
DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
REFRESH_GRANT: Final = "refresh_token"

# Paths below the server's address. People open the first.
DEVICE_PAGE: Final = "identity/o/device"
DEVICE_CODE: Final = "identity/o/api/device/code"
TOKEN: Final = "identity/o/api/token"  # noqa: S105  # an address
REVOKE: Final = "identity/o/api/revoke"
