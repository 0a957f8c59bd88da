"""The forms of the people's pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django import forms
from django.utils.text import slugify

from mesh.models import Role

USES = [("1", "One person"), ("5", "5 people"), ("25", "25 people"), ("any", "Any number")]
DAYS = [("1", "1 day"), ("7", "7 days"), ("30", "30 days")]


class InviteForm(forms.Form):
    """Who may use an invitation, as what, and until when."""

    role = forms.ChoiceField(label="Role")
    uses = forms.ChoiceField(label="For", choices=USES, initial="1")
    days = forms.ChoiceField(label="Works for", choices=DAYS, initial="7")

    def __init__(self, data: object = None, *, roles: Sequence[Role]) -> None:
        initial = {"role": Role.MEMBER.value}
        super().__init__(data, initial=initial, prefix="invite")  # type: ignore[arg-type]
        field = self.fields["role"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(role.value, role.label) for role in roles]

    def max_uses(self) -> int | None:
        """Return how many people may use it, ``None`` for any number."""
        uses: str = self.cleaned_data["uses"]
        return None if uses == "any" else int(uses)

    def life(self) -> timedelta:
        """Return how long it works."""
        return timedelta(days=int(self.cleaned_data["days"]))


class OrganizationForm(forms.Form):
    """A new organization's names."""

    name = forms.CharField(label="Name", max_length=120)
    slug = forms.CharField(
        label="Short name",
        required=False,
        max_length=60,
        help_text="Part of its addresses: letters a to z, digits and hyphens. Made from the name"
        " if it is left out.",
    )

    def clean_slug(self) -> str:
        """Return the short name in lower case; where there is none, one from the name."""
        given: str = self.cleaned_data["slug"].strip()
        if given:
            return given.lower()
        made: str = slugify(self.cleaned_data.get("name", ""))
        return made.replace("_", "-")[:60].strip("-")
