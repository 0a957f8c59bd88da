"""Keys are sealed, checked before they are kept, and fill the default models."""

from __future__ import annotations

import pytest

from agents.keys import errors, selectors, services
from agents.keys.check import Result
from agents.models import DefaultModel, Outcome, ProviderKey
from mesh import keys
from mesh.egress import AddressRefused
from tests.agents.keys.conftest import SECRET


def slots(org):
    return {tier: slot.model_id for tier, slot in selectors.list_defaults(org).items()}


def test_a_key_is_kept_sealed_and_opens_again(add):
    key = ProviderKey.objects.get(pk=add().pk)

    assert SECRET not in str(vars(key))
    assert selectors.account_of(key).secret == SECRET
    assert SECRET not in repr(selectors.account_of(key))


def test_an_organization_has_a_key_only_of_its_own(add, org, eve):
    assert not selectors.list_models(org)[0]
    add()

    assert selectors.list_models(org)[0]
    assert not selectors.list_models(eve.organizations.get())[0]


def test_a_key_of_a_provider_that_is_no_more_counts_for_nothing(org):
    """The reference's "cli-activate" left such rows, and agents that could not answer."""
    ProviderKey.objects.create(organization=org, provider="claude-code", label="Claude CLI")

    assert not selectors.list_models(org)[0]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        pytest.param({"provider": "deco"}, errors.UnknownProvider, id="unknown provider"),
        pytest.param({"secret": ""}, errors.KeyMissing, id="no key"),
        pytest.param({"secret": "x" * 501}, errors.KeyTooLong, id="too long"),
        pytest.param({"secret": "sk-ant-a\nb"}, errors.KeyMalformed, id="a newline"),
        pytest.param({"secret": "sk-ant-a\n"}, errors.KeyMalformed, id="a newline at the end"),
        pytest.param({"secret": "sk-or-v1-x"}, errors.KeyOfAnotherProvider, id="wrong provider"),
        pytest.param(
            {"provider": "openai-compatible"}, errors.AddressMissing, id="no address of a server"
        ),
        pytest.param(
            {"provider": "openai-compatible", "base_url": "http://169.254.169.254/latest"},
            AddressRefused,
            id="metadata",
        ),
        pytest.param({"base_url": "https://127.0.0.1/v1"}, AddressRefused, id="this machine"),
    ],
)
def test_bad_input_is_refused_and_nothing_kept(add, fields, error):
    with pytest.raises(error) as refused:
        add(**fields)

    assert not ProviderKey.objects.exists()
    assert refused.value.code
    assert SECRET not in str(refused.value.body())


def test_a_gateway_s_key_may_have_any_form(add):
    add(secret="sk-1234", base_url="https://gateway.example")

    assert ProviderKey.objects.get().base_url == "https://gateway.example"


def test_a_server_of_one_s_own_may_need_no_key(add):
    add(provider="openai-compatible", secret="", base_url="https://llm.example/v1/")

    key = ProviderKey.objects.get()
    assert (key.sealed_key, key.base_url) == ("", "https://llm.example/v1")


def test_a_member_may_not(member, add):
    key = add()
    for attempt in (
        lambda: services.add_key(member=member, new=services.NewKey(provider="anthropic")),
        lambda: services.rename_key(member=member, key_id=key.pk, label="mine"),
        lambda: services.delete_key(member=member, key_id=key.pk),
        lambda: services.keep_result(member=member, key_id=key.pk, result=Result(Outcome.WORKS)),
        lambda: services.set_default_model(member=member, tier="fast", key_id=key.pk, model_id="m"),
    ):
        with pytest.raises(errors.OnlyAdmins):
            attempt()


def test_there_is_an_end_to_the_number_of_keys(add, monkeypatch):
    monkeypatch.setattr(services, "KEYS_LIMIT", 1)
    add()

    with pytest.raises(errors.TooManyKeys):
        add()


@pytest.mark.parametrize(
    ("given", "kept"), [("", "Personal key"), (" a\n b ", "a b"), ("x" * 90, "x" * 80)]
)
def test_a_label_is_one_short_line(add, given, kept):
    assert add(label=given).label == kept


def test_the_first_key_fills_every_tier(add, org):
    add()

    assert slots(org) == {
        "fast": "claude-haiku-5-5",
        "smart": "claude-sonnet-5-5",
        "thinking": "claude-opus-5-5",
    }


def test_a_chosen_model_stays_when_another_key_comes(add, owner, org):
    services.set_default_model(member=owner, tier="fast", key_id=add().pk, model_id="my-model")
    add(provider="openai", secret="sk-proj-x")

    assert slots(org)["fast"] == "my-model"


def test_slots_of_a_deleted_key_are_filled_from_the_others(add, owner, org):
    first = add()
    add(provider="openai", secret="sk-proj-x")
    services.delete_key(member=owner, key_id=first.pk)

    assert slots(org)["smart"] == "gpt-6.1-terra"


def test_without_any_key_there_is_no_model(add, owner, org):
    services.delete_key(member=owner, key_id=add().pk)
    services.delete_key(member=owner, key_id=ProviderKey(organization=org).pk)

    assert slots(org) == {}
    with pytest.raises(errors.NoModel):
        selectors.choose_model(organization_id=org.pk, tier="smart")


def test_a_test_s_list_fills_the_slots_of_a_server_of_one_s_own(add, owner, org):
    key = add(provider="openai-compatible", secret="", base_url="https://llm.example/v1")
    assert slots(org) == {}
    result = Result(Outcome.WORKS, models=("qwen3:8b", "no model’s name"))
    services.keep_result(member=owner, key_id=key.pk, result=result)

    assert slots(org) == {"fast": "qwen3:8b", "smart": "qwen3:8b", "thinking": "qwen3:8b"}


def test_a_proposal_that_the_provider_lacks_gives_way_and_a_choice_stays(add, owner, org):
    key = add()
    services.set_default_model(member=owner, tier="fast", key_id=key.pk, model_id="my-choice")
    result = Result(Outcome.WORKS, models=("claude-new", "claude-opus-5-5-20261101"))
    services.keep_result(member=owner, key_id=key.pk, result=result)

    assert slots(org) == {
        "fast": "my-choice",
        "smart": "claude-new",
        "thinking": "claude-opus-5-5",
    }


@pytest.mark.parametrize(
    ("choice", "error"),
    [
        pytest.param({"tier": "huge"}, errors.UnknownTier, id="unknown tier"),
        pytest.param({"model_id": "a b"}, errors.ModelMalformed, id="no model's name"),
        pytest.param({"model_id": ""}, errors.ModelMalformed, id="empty"),
        pytest.param({"key_id": ProviderKey().pk}, errors.UnknownKey, id="unknown key"),
    ],
)
def test_a_choice_is_checked(add, owner, choice, error):
    given = {"tier": "fast", "model_id": "m", "key_id": add().pk, **choice}
    with pytest.raises(error):
        services.set_default_model(member=owner, **given)


def test_another_organization_s_key_can_t_be_chosen(add, owner, eve):
    from mesh.models import Membership

    theirs = services.add_key(
        member=Membership.objects.get(user=eve),
        new=services.NewKey(provider="anthropic", secret="sk-ant-x"),
    )
    with pytest.raises(errors.UnknownKey):
        services.set_default_model(member=owner, tier="fast", key_id=theirs.pk, model_id="m")
    services.delete_key(member=owner, key_id=theirs.pk)

    assert ProviderKey.objects.filter(pk=theirs.pk).exists()
    assert not DefaultModel.objects.filter(organization=owner.organization).exists()


def test_a_key_sealed_by_another_server_says_so(add, settings):
    key = add()
    settings.MESH_ENCRYPTION_KEYS = [keys.make_fernet()]

    with pytest.raises(errors.KeyUnreadable):
        selectors.account_of(key)
