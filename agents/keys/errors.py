"""Errors about keys, addresses and default models."""

from __future__ import annotations

from mesh.lib.errors import AppError


class OnlyAdmins(AppError):
    code = "forbidden"
    text = "Only owners and admins of the organization can manage its AI providers."
    hint = "Ask an owner or an admin."
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
    text = "An API key contains no spaces, line breaks or special characters."
    hint = "Copy only the key, without anything around it."


class KeyOfAnotherProvider(AppError):
    code = "key_of_another_provider"
    text = "This key belongs to another provider."
    hint = "Choose that provider, or copy the key again."


class AddressMissing(AppError):
    code = "address_missing"
    text = "The base URL is missing."
    hint = "Give the address of the server's API, such as https://llm.example/v1."


class TooManyKeys(AppError):
    code = "too_many_keys"
    text = "The organization has reached its limit of keys."
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
    text = "This is not a model's name."
    hint = "Use the provider's name for it, such as claude-sonnet-5-5."


class NoModel(AppError):
    code = "no_model"
    text = "No model is set for this tier."
    hint = "Ask an admin to add a key, or to choose a model, in the settings under AI providers."
    status = 409


class KeyUnreadable(AppError):
    code = "key_unreadable"
    text = "The key can't be decrypted with this server's encryption keys."
    hint = "Delete it and add it again, or add its encryption key to MESH_ENCRYPTION_KEYS."
    status = 409
