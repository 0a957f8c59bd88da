"""The form of a new token."""

from __future__ import annotations

from datetime import timedelta

from django import forms

from mesh.tokens import Scope

SCOPES = [
    ("user", "My programs: all that I can do"),
    ("machine", "One machine: its link alone"),
]
DAYS = [("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "1 year")]


class TokenForm(forms.Form):
    """What a token is for, what it may do, and until when."""

    name = forms.CharField(label="Name", max_length=120, help_text="Such as the program's name.")
    scope = forms.ChoiceField(label="For", choices=SCOPES, initial="user")
    days = forms.ChoiceField(label="Expires after", choices=DAYS, initial="90")

    def token_scope(self) -> Scope:
        """Return the chosen scope."""
        return "machine" if self.cleaned_data["scope"] == "machine" else "user"

    def life(self) -> timedelta:
        """Return how long it works; a machine's is extended each time it is used."""
        return timedelta(days=int(self.cleaned_data["days"]))
