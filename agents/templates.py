"""Templates of new agents, from ``templates.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from agents.core.source import Source
from agents.services import AgentFields
from mesh.selectors import NotFound

PATH = Path(__file__).with_name("templates.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """``title`` and ``description`` describe the template; ``name`` is the new agent's."""

    id: str
    title: str
    name: str
    description: str
    icon: str
    instructions: str
    repository: str = ""
    files: str = ""

    def as_shown(self) -> dict[str, str]:
        return {
            "id": self.id,
            "title": self.title,
            "description": self.description,
            "icon": self.icon,
        }

    def filled(self, given: AgentFields) -> AgentFields:
        """Return ``given``, with missing fields from the template."""
        own = None
        if self.repository:
            own = Source("repository", url=self.repository)
        elif self.files == "none":
            own = Source("none")
        return AgentFields(
            title=given.title or self.name,
            icon=self.icon if given.icon is None else given.icon,
            instructions=self.instructions.strip()
            if given.instructions is None
            else given.instructions,
            default_choice=given.default_choice,
            source=given.source or own,
        )


@lru_cache(maxsize=1)
def list_templates() -> tuple[Template, ...]:
    """Return every template, in the order of the page."""
    entries = tomllib.loads(PATH.read_text(encoding="utf-8"))["templates"]
    return tuple(Template(**entry) for entry in entries)


def find_template(template_id: str) -> Template:
    """Return the template.

    Raises:
        NotFound: there is no template with this id.
    """
    for template in list_templates():
        if template.id == template_id:
            return template
    raise NotFound("There is no such template.")
