"""Forms of the agents' pages. Core and services validate; forms assign an error to its field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from agents.catalog import load_runnable
from agents.core.mcp import McpServer, read_header_lines, read_mcp_server
from agents.core.source import Source, read_folder
from agents.models import Agent
from agents.repositories import allowed_repository
from agents.services import ICONS, AgentFields
from links.selectors import LinkView
from mesh.lib.errors import AppError

SOURCES = [
    ("repository", "A repository"),
    ("folder", "A folder of a machine"),
    ("scratch", "An empty folder for each chat"),
    ("none", "No files: it only talks"),
]


class AgentForm(forms.Form):
    """Every field of an agent that a person can set."""

    title = forms.CharField(label="Name", max_length=120)
    icon = forms.ChoiceField(
        label="Icon",
        choices=[(icon, icon) for icon in ICONS],
        widget=forms.RadioSelect,
        required=False,
    )
    instructions = forms.CharField(
        label="Instructions",
        required=False,
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 7}),
        help_text="What it is for, and how it should work. Every chat with it starts with this.",
    )
    source = forms.ChoiceField(label="Works on", choices=SOURCES, widget=forms.RadioSelect)
    repository = forms.CharField(
        label="Repository",
        required=False,
        max_length=500,
        help_text="Such as https://github.com/acme/app or git@git.example.com:app.git: any address"
        " that git clones over https or ssh. Each person's machine clones it, with that person's"
        " own sign-in.",
    )
    folder = forms.CharField(
        label="Folder",
        required=False,
        max_length=500,
        help_text="Its whole path. The machine's person must have allowed it:"
        " deco link --allow FOLDER.",
    )
    link_id = forms.ChoiceField(label="Machine", required=False)
    default_choice = forms.ChoiceField(
        label="Begins with",
        required=False,
        help_text="The agent that answers in a new chat, until the person picks another.",
    )

    def __init__(self, *args: Any, links: Sequence[LinkView], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given = str(self.initial.get("link_id", ""))
        machines = [(str(link.id), link.name) for link in links]
        if given and given not in dict(machines):
            machines.append((given, "another person's machine"))
        self.fields["link_id"] = forms.ChoiceField(
            label="Machine", required=False, choices=[("", "Any that allows it"), *machines]
        )
        self.fields["default_choice"] = forms.ChoiceField(
            label="Begins with",
            required=False,
            choices=[("", "What the person picked last"), *_options()],
            help_text=self.fields["default_choice"].help_text,
        )

    @classmethod
    def initial_of(cls, agent: Agent) -> dict[str, Any]:
        """Return the initial values of the form for an agent."""
        source = agent.source
        return {
            "title": agent.title,
            "icon": agent.icon,
            "instructions": agent.instructions,
            "source": source.kind,
            "repository": source.url,
            "folder": source.folder,
            "link_id": source.link_id,
            "default_choice": agent.default_choice,
        }

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        kind = given.get("source")
        try:
            if kind == "repository":
                given[kind] = allowed_repository(given.get(kind, "")).url
            elif kind == "folder":
                given[kind] = read_folder(given.get(kind, ""))
        except AppError as refused:
            self.add_error(kind, f"{refused} {refused.hint}")
        return given

    def given(self) -> AgentFields:
        """Return the fields of a valid form."""
        data = self.cleaned_data
        kind = data["source"]
        return AgentFields(
            title=data["title"],
            icon=data["icon"],
            instructions=data["instructions"],
            default_choice=data["default_choice"],
            source=Source(
                kind,
                url=data["repository"] if kind == "repository" else "",
                folder=data["folder"] if kind == "folder" else "",
                link_id=data["link_id"] if kind == "folder" else "",
            ),
        )


class McpServerForm(forms.Form):
    """One MCP server. Headers are written and never read back."""

    name = forms.CharField(label="Name", max_length=40)
    url = forms.CharField(label="Address", max_length=1_000)
    headers = forms.CharField(
        label="Headers",
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off", "spellcheck": "false"}),
        help_text="One a line, such as Authorization: Bearer … They are kept encrypted and"
        " never shown again.",
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if self.errors:
            return given
        try:
            given["server"] = read_mcp_server(
                name=given["name"], url=given["url"], headers=read_header_lines(given["headers"])
            )
        except AppError as refused:
            self.add_error(None, str(refused))
        return given

    def without_secrets(self) -> McpServerForm:
        """Return the form for display, without the headers that were entered."""
        if self.is_bound:
            self.data = {name: self.data.get(name, "") for name in ("name", "url")}
        return self

    def server(self) -> McpServer:
        """Return the server of a valid form."""
        server: McpServer = self.cleaned_data["server"]
        return server


def _options() -> list[tuple[str, str]]:
    return [
        (f"{kind.kind}:{tier.key}", f"{kind.title} · {tier.label}")
        for kind in load_runnable()
        for tier in kind.tiers
    ]
