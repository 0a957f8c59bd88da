"""What an agent's program offers: models, efforts and commands, in a thread or on a machine."""

# mypy: disable-error-code="untyped-decorator"
# (drf-spectacular has no types)

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents.catalog import levels_of
from agents.context import choose_link
from agents.core.offers import NOTHING, Offer
from links.selectors import find_link, list_links
from links.wire.messages import LEVELS
from mesh.api import signed_in
from mesh.selectors import NotFound, get_membership
from threads.choices import offer_in, offers_on
from threads.requests import Input, checked_query, thread_of


class EffortShown(serializers.Serializer[Any]):
    id = serializers.CharField()
    title = serializers.CharField()


class ModelShown(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="The program's own: send it as `model`.")
    title = serializers.CharField()
    description = serializers.CharField()
    current = serializers.BooleanField(help_text="Whether it answered last.")
    efforts = EffortShown(many=True)


class CommandShown(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="A message that begins with “/” and it is a command.")
    description = serializers.CharField()
    hint = serializers.CharField(help_text="What may follow it.")


class OptionsShown(serializers.Serializer[Any]):
    models = ModelShown(many=True)
    efforts = EffortShown(many=True, help_text="Those of the model that answers by itself.")
    commands = CommandShown(many=True)
    levels = serializers.ListField(
        child=serializers.ChoiceField(LEVELS),
        allow_null=True,
        help_text="The approval levels that it can hold; null: not known before it runs.",
    )


class ThreadOptionsApi(APIView):
    """``…/threads/<id>/agent-options``."""

    @extend_schema(responses=OptionsShown, operation_id="threads_agent_options")
    def get(self, request: Request, org: str, thread_id: UUID) -> Response:
        """What the thread's agent offers, as it said last; empty lists if it never did."""
        thread = thread_of(request, org, thread_id)
        return Response(_shown(thread.harness_id, offer_in(thread)))


class MachineOptionsApi(APIView):
    """``…/agent-options``."""

    class Query(Input):
        harnessId = serializers.CharField(max_length=60)
        linkId = serializers.UUIDField(
            required=False, help_text="Left out: the machine that a new thread would go to."
        )

    @extend_schema(
        parameters=[Query], responses=OptionsShown, operation_id="machines_agent_options"
    )
    def get(self, request: Request, org: str) -> Response:
        """What an agent last offered on one of the caller's machines, for a new thread there."""
        viewer = signed_in(request)
        get_membership(viewer=viewer, slug=org)
        given = checked_query(self.Query, request)
        link_id = given.get("linkId")
        if link_id is None:
            machine = choose_link(list_links(viewer=viewer), "")
        elif (machine := find_link(viewer=viewer, link_id=link_id)) is None:
            raise NotFound
        offers = offers_on(machine.id) if machine else {}
        harness_id = given["harnessId"]
        return Response(_shown(harness_id, offers.get(harness_id, NOTHING)))


def _shown(harness_id: str, offer: Offer) -> dict[str, Any]:
    levels = levels_of(harness_id, offer)
    return {
        "levels": None if levels is None else list(levels),
        "models": [
            {
                "id": model.id,
                "title": model.title,
                "description": model.description,
                "current": model.is_current,
                "efforts": _efforts(offer, model.id),
            }
            for model in offer.models
        ],
        "efforts": _efforts(offer, ""),
        "commands": [
            {"name": each.name, "description": each.description, "hint": each.hint}
            for each in offer.commands
        ],
    }


def _efforts(offer: Offer, model: str) -> list[dict[str, str]]:
    return [{"id": each.id, "title": each.title} for each in offer.efforts_of(model)]
