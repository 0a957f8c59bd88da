"""An agent's own questions (``elicitation/create``), and the answers as its protocol wants them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from agents.harness.acp.permissions import Question
from agents.harness.elicitation import Form, address_input
from agents.harness.lines import object_of, text_of
from agents.harness.rpc import RequestId

METHOD: Final = "elicitation/create"
CANCELLED: Final[dict[str, Any]] = {"action": "cancel"}
DECLINED: Final[dict[str, Any]] = {"action": "decline"}


@dataclass(frozen=True, slots=True)
class Asked(Question):
    """A form to fill in, or an address to open (``form`` is ``None``)."""

    form: Form | None
    message: str
    address: str
    attempt: int = 0

    def as_input(self, complaint: str = "") -> dict[str, Any]:
        """Return the input of its card."""
        if self.form:
            return self.form.as_input(complaint)
        return address_input(self.message, self.address)


def read(request_id: RequestId, params: dict[str, Any]) -> Asked | None:
    """Return the question in a request; ``None`` for a mode that is unknown, or without content."""
    mode, message = text_of(params, "mode"), text_of(params, "message")
    form = Form(message, object_of(params, "requestedSchema")) if mode == "form" else None
    address = text_of(params, "url") if mode == "url" else ""
    if form is None and not address.startswith(("https://", "http://")):
        return None
    return Asked(request_id, "", (), form, message, address)


def accepted(content: dict[str, Any] | None) -> dict[str, Any]:
    """Return the result for a person who has answered; ``None``: there was nothing to fill in."""
    return {"action": "accept"} if content is None else {"action": "accept", "content": content}
