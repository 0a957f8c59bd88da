"""The JSON API of AI providers, keys and default models. No answer has a key in it."""

# mypy: disable-error-code="untyped-decorator"
# (drf-spectacular has no types)

from __future__ import annotations

from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents.core.tiers import KEYS as TIERS
from agents.keys import selectors, services
from agents.keys.check import check
from agents.keys.presentation import default_shown, key_shown, provider_shown
from agents.keys.providers import load_providers
from agents.keys.services import NewKey
from mesh.api import signed_in
from mesh.models import Membership
from mesh.selectors import get_membership

OUTCOMES = ["", "works", "refused", "unreachable"]


class AiProviderShown(serializers.Serializer[Any]):
    kind = serializers.CharField()
    title = serializers.CharField()
    words = serializers.CharField()
    address = serializers.CharField(allow_blank=True)
    keysPage = serializers.CharField(allow_blank=True)
    needsAddress = serializers.BooleanField()
    needsKey = serializers.BooleanField()


class AiKeyShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    provider = serializers.CharField()
    providerTitle = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # DRF has one too
    baseUrl = serializers.CharField(allow_blank=True)
    addedBy = serializers.CharField(allow_null=True)
    createdAt = serializers.DateTimeField()
    outcome = serializers.ChoiceField(OUTCOMES, allow_blank=True)
    said = serializers.CharField(allow_blank=True)
    testedAt = serializers.DateTimeField(allow_null=True)
    models = serializers.ListField(child=serializers.CharField())


class DefaultModelShown(serializers.Serializer[Any]):
    tier = serializers.ChoiceField(list(TIERS))
    keyId = serializers.UUIDField(allow_null=True)
    modelId = serializers.CharField(allow_blank=True)


class ProvidersApi(APIView):
    """``/api/<org>/ai-providers``: what keys can be added for."""

    class AiProviders(serializers.Serializer[Any]):
        providers = AiProviderShown(many=True)

    @extend_schema(responses=AiProviders, operation_id="ai_providers_list", tags=["ai-providers"])
    def get(self, request: Request, org: str) -> Response:
        """Every provider, in the order in which they are offered."""
        _member(request, org)
        return Response({"providers": [provider_shown(each) for each in load_providers()]})


class KeysApi(APIView):
    """``/api/<org>/ai-keys``: the organization's keys, and new ones."""

    class AiKeys(serializers.Serializer[Any]):
        keys = AiKeyShown(many=True)

    class NewAiKey(serializers.Serializer[Any]):
        provider = serializers.CharField(max_length=40)
        label = serializers.CharField(  # type: ignore[assignment]
            default="", allow_blank=True, max_length=1_000
        )
        baseUrl = serializers.CharField(default="", allow_blank=True, max_length=10_000)
        # Taken as it is: the services say what is wrong with it.
        key = serializers.CharField(
            default="", allow_blank=True, trim_whitespace=False, write_only=True
        )

    @extend_schema(responses=AiKeys, operation_id="ai_keys_list", tags=["ai-providers"])
    def get(self, request: Request, org: str) -> Response:
        """The organization's keys, the oldest first."""
        member = _member(request, org)
        keys = selectors.list_keys(member.organization)
        return Response({"keys": [key_shown(key) for key in keys]})

    @extend_schema(
        request=NewAiKey,
        responses={201: AiKeyShown},
        operation_id="ai_keys_add",
        tags=["ai-providers"],
    )
    def post(self, request: Request, org: str) -> Response:
        """Add a key. It is kept encrypted and never given out again."""
        member = _member(request, org)
        given = _checked(self.NewAiKey, request)
        new = NewKey(
            provider=given["provider"],
            label=given["label"],
            base_url=given["baseUrl"],
            secret=given["key"],
        )
        return Response(key_shown(services.add_key(member=member, new=new)), status=201)


class KeyApi(APIView):
    """``/api/<org>/ai-keys/<id>``: one key."""

    class AiKeyChange(serializers.Serializer[Any]):
        label = serializers.CharField(max_length=1_000)  # type: ignore[assignment]

    @extend_schema(
        request=AiKeyChange,
        responses=AiKeyShown,
        operation_id="ai_keys_rename",
        tags=["ai-providers"],
    )
    def patch(self, request: Request, org: str, key_id: UUID) -> Response:
        """Give the key another label."""
        member = _member(request, org)
        given = _checked(self.AiKeyChange, request)
        key = services.rename_key(member=member, key_id=key_id, label=given["label"])
        return Response(key_shown(key))

    @extend_schema(responses={204: None}, operation_id="ai_keys_delete", tags=["ai-providers"])
    def delete(self, request: Request, org: str, key_id: UUID) -> Response:
        """Forget the key. Default models of it are chosen anew from the other keys."""
        services.delete_key(member=_member(request, org), key_id=key_id)
        return Response(status=204)


class KeyTestApi(APIView):
    """``/api/<org>/ai-keys/<id>/test``: does the provider take it?"""

    @extend_schema(
        request=None, responses=AiKeyShown, operation_id="ai_keys_test", tags=["ai-providers"]
    )
    def post(self, request: Request, org: str, key_id: UUID) -> Response:
        """Ask the provider, within ten seconds; ``outcome`` and ``said`` tell its answer."""
        member = _member(request, org)
        services.check_may(member)  # before anything goes out
        key = selectors.get_key(organization=member.organization, key_id=key_id)
        result = async_to_sync(check)(selectors.account_of(key))
        return Response(
            key_shown(services.keep_result(member=member, key_id=key.pk, result=result))
        )


class DefaultModelsApi(APIView):
    """``/api/<org>/default-models``: which model answers at which tier."""

    class DefaultModels(serializers.Serializer[Any]):
        defaults = DefaultModelShown(many=True)

    @extend_schema(
        responses=DefaultModels, operation_id="default_models_list", tags=["ai-providers"]
    )
    def get(self, request: Request, org: str) -> Response:
        """All tiers; one without a key has no model that could answer."""
        slots = selectors.list_defaults(_member(request, org).organization)
        return Response({"defaults": [default_shown(tier, slots.get(tier)) for tier in TIERS]})


class DefaultModelApi(APIView):
    """``/api/<org>/default-models/<tier>``: one of them."""

    class ModelChoice(serializers.Serializer[Any]):
        keyId = serializers.UUIDField()
        modelId = serializers.CharField(max_length=1_000)

    @extend_schema(
        request=ModelChoice,
        responses=DefaultModelShown,
        operation_id="default_models_set",
        tags=["ai-providers"],
    )
    def put(self, request: Request, org: str, tier: str) -> Response:
        """Choose key and model of a tier, for everybody in the organization."""
        member = _member(request, org)
        given = _checked(self.ModelChoice, request)
        slot = services.set_default_model(
            member=member, tier=tier, key_id=given["keyId"], model_id=given["modelId"]
        )
        return Response(default_shown(tier, slot))


def _member(request: Request, org: str) -> Membership:
    return get_membership(viewer=signed_in(request), slug=org)


def _checked(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    given = kind(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)
