"""Why a key, an address or a default model is not taken."""

from __future__ import annotations

from mesh.lib.errors import AppError


class OnlyAdmins(AppError):
    code = "forbidden"
    text = "Only owners and admins of the organization manage its AI providers."
    hint = "Ask one of them."
    status = 403


class UnknownProvider(AppError):
    code = "unknown_provider"
    text = "There is no such AI provider."
    hint = "GET …/ai-providers lists them."


class KeyMissing(AppError):
    code = "key_missing"
    text = "The API key is missing."
    hint = "Copy it from the provider's page."


class KeyTooLong(AppError):
    code = "key_too_long"
    text = "This is too long for an API key."
    hint = "Copy only the key, without anything around it."


class KeyMalformed(AppError):
    code = "key_malformed"
    text = "An API key has no blanks, line feeds or special characters in it."
    hint = "Copy only the key, without anything around it."


class KeyOfAnotherProvider(AppError):
    code = "key_of_another_provider"
    text = "This key belongs to another provider."
    hint = "Choose that provider, or copy the key once more."


class AddressMissing(AppError):
    code = "address_missing"
    text = "The base URL is missing."
    hint = "Give the address under which the server's API stands, such as https://llm.example/v1."


class TooManyKeys(AppError):
    code = "too_many_keys"
    text = "The organization has as many keys as it can have."
    hint = "Delete one that is no longer used."
    status = 409


class UnknownKey(AppError):
    code = "unknown_key"
    text = "There is no such key."
    hint = "It may have been deleted; reload the page."
    status = 404


class UnknownTier(AppError):
    code = "unknown_tier"
    text = "There is no such tier."
    hint = "Send fast, smart or thinking."


class ModelMalformed(AppError):
    code = "model_malformed"
    text = "This is no model's name."
    hint = "Use the name that the provider gives it, such as claude-sonnet-5-5."


class NoModel(AppError):
    code = "no_model"
    text = "No model is set for this tier."
    hint = "An admin adds a key, or chooses a model, in the settings under AI providers."
    status = 409


class KeyUnreadable(AppError):
    code = "key_unreadable"
    text = "The key can't be opened with this server's encryption keys."
    hint = "Delete it and add it again, or give MESH_ENCRYPTION_KEYS the key it was sealed with."
    status = 409
