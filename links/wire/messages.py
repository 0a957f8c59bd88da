"""The messages of registrations, heartbeats and greetings, parsed once at the border.

Unknown fields are ignored and unknown capability names dropped, so that an old server does not
refuse a newer laptop.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from links.wire.errors import BadMessage
from links.wire.server_signature import is_key

CAPABILITIES: Final = ("claude-code", "codex", "decopilot-sandbox", "body-offload")
# Any program that speaks ACP, under the name given with ``deco_link --acp``.
ACP: Final = re.compile(r"acp:[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
MOST_CAPABILITIES: Final = 32
LEVELS: Final = ("auto", "readonly", "plan")
HARNESS_STATES: Final = ("ready", "absent", "not_signed_in", "timed_out")
# The capability that a harness needs; others (demo) need none.
_NEEDS: Final[Mapping[str, str]] = {
    "claude-code": "claude-code",
    "codex": "codex",
    "decopilot": "decopilot-sandbox",
}

Harnesses = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """``POST /api/links``: a machine's identity and capabilities."""

    machine_id: str
    cli_version: str
    protocol_version: int
    capabilities: tuple[str, ...]
    hostname: str = ""
    tunnel_url: str = ""
    installation: str = ""  # differs for a copy of the machine's files; older programs send none
    harnesses: Harnesses = field(default_factory=dict)

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Registration:
        """Return the registration in ``value``.

        Raises:
            BadMessage: a required field is missing, or one has the wrong type or size.
        """
        names = value.get("capabilities")
        if not isinstance(names, list) or not names:
            raise BadMessage("capabilities: a list with at least one name is required.")
        return cls(
            machine_id=_text(value, "machineId", most=64),
            cli_version=_text(value, "cliVersion", most=40),
            protocol_version=_version(value),
            capabilities=parse_capabilities(names),
            hostname=_text(value, "hostname", most=255, required=False),
            tunnel_url=_text(value, "tunnelUrl", most=200, required=False),
            installation=_text(value, "installation", most=64, required=False),
            harnesses=parse_harnesses(value.get("harnesses")),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the body of the request, without empty fields."""
        optional = {
            "hostname": self.hostname,
            "tunnelUrl": self.tunnel_url,
            "installation": self.installation,
            "harnesses": self.harnesses,
        }
        return {
            "machineId": self.machine_id,
            "cliVersion": self.cli_version,
            "protocolVersion": self.protocol_version,
            "capabilities": list(self.capabilities),
            **{name: value for name, value in optional.items() if value},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """The answer, which alone contains the secret."""

    link_id: str
    link_secret: str
    user_sub: str  # sent with the secret, as X-Mesh-User-Sub
    # The public half of the key that signs the server's requests to sandboxes, in hex.
    server_key: str
    tunnel_url: str = ""  # where the server will call the machine, if it accepts the address

    @classmethod
    def parse(cls, value: object) -> Registered:
        """Return the answer in ``value``.

        Raises:
            BadMessage: it lacks the secret or the key.
        """
        secret = value.get("linkSecret") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(secret, str) or not secret:
            raise BadMessage("Registration response missing linkSecret.")
        if not is_key(value.get("serverKey")):
            raise BadMessage(
                "The server is older than this program, and does not sign its requests to agents."
                " Update the server, or use the deco_link that it offers."
            )
        return cls(
            link_id=str(value.get("linkId", "")),
            link_secret=secret,
            server_key=value["serverKey"],
            user_sub=str(value.get("userSub", "")),
            tunnel_url=str(value.get("tunnelUrl", "")),
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "linkId": self.link_id,
            "linkSecret": self.link_secret,
            "userSub": self.user_sub,
            "serverKey": self.server_key,
            **({"tunnelUrl": self.tunnel_url} if self.tunnel_url else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineStatus:
    """A STATUS frame: the machine's present capabilities, and why it lacks others."""

    capabilities: tuple[str, ...]
    harnesses: Harnesses

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> MachineStatus:
        return cls(
            capabilities=parse_capabilities(value.get("capabilities")),
            harnesses=parse_harnesses(value.get("harnesses")),
        )

    def as_json(self) -> dict[str, Any]:
        return {"capabilities": list(self.capabilities), "harnesses": self.harnesses}


def parse_capabilities(value: object) -> tuple[str, ...]:
    """Return the known names in ``value``, each once, in its order; () if it is not a list."""
    if not isinstance(value, list):
        return ()
    known = (name for name in value if isinstance(name, str) and _is_capability(name))
    return tuple(dict.fromkeys(known))[:MOST_CAPABILITIES]


def needed_for(harness_id: str) -> str | None:
    """Return the capability that ``harness_id`` needs on a machine; ``None`` if none."""
    return harness_id if ACP.fullmatch(harness_id) else _NEEDS.get(harness_id)


def _is_capability(name: str) -> bool:
    return name in CAPABILITIES or ACP.fullmatch(name) is not None


def parse_harnesses(value: object) -> Harnesses:
    """Return the well-formed findings of a probe in ``value``; others are dropped."""
    if not isinstance(value, dict):
        return {}
    found: Harnesses = {}
    for name, report in value.items():
        if not isinstance(name, str) or not isinstance(report, dict) or len(found) >= 32:
            continue
        if report.get("state") in HARNESS_STATES:
            found[name[:60]] = {
                key: str(report.get(key, ""))[:300] for key in ("state", "version", "detail")
            } | _levels(report.get("levels"))
    return found


def _levels(value: object) -> dict[str, str]:
    """Return the approval levels that an agent of the person's own has said it can hold."""
    words = value.split() if isinstance(value, str) else ()
    known = [level for level in LEVELS if level in words]
    return {"levels": " ".join(known)} if known else {}


def _text(value: Mapping[str, Any], name: str, *, most: int, required: bool = True) -> str:
    text = value.get(name)
    if text is None and not required:
        return ""
    if not isinstance(text, str) or (required and not text):
        raise BadMessage(f"{name}: a string is required.")
    if len(text) > most or "\x00" in text:
        raise BadMessage(f"{name}: at most {most} characters.")
    return text


def _version(value: Mapping[str, Any]) -> int:
    number = value.get("protocolVersion")
    if type(number) is not int or not 0 <= number < 2**31:
        raise BadMessage("protocolVersion: an integer of 0 or more is required.")
    return number
