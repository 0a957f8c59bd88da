"""The pictures in a request to a model, and the request without those that the provider refuses.

Importing this takes seconds: see ``library``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pydantic_ai import BinaryContent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelRequest, UserContent, UserPromptPart

from agents.harness.decopilot.memory import REFUSED_FILE, Image
from agents.harness.decopilot.refused_files import is_about_files, named_files, texts_of


class RequestFiles:
    """The pictures that a run has sent so far, by their bytes."""

    def __init__(self) -> None:
        self._known: dict[bytes, Image] = {}
        self._tries = 0

    def add(self, image: Image) -> BinaryContent:
        """Return the picture in the library's class."""
        self._known[image.data] = image
        return BinaryContent(image.data, media_type=image.media_type)

    def refused(self, error: BaseException | None, sent: Sequence[ModelMessage]) -> list[Image]:
        """Return the pictures without which the request ``sent`` should be tried again; empty if
        the error is not about a picture.

        These are the ones that the provider names. If it names none, the newest message with a
        picture is the suspect, as older ones were accepted before. The second time it is all.
        """
        if not isinstance(error, ModelHTTPError):
            return []
        words = f"{error.message}\n{texts_of(error.body)}"
        by_message = [found for message in sent if (found := _pictures(message))]
        if not by_message or self._tries == 2 or not is_about_files(error.status_code, words):
            return []
        self._tries += 1
        every = [data for found in by_message for data in found]
        if self._tries == 2:
            return self._images(every)
        return self._images(_named(error, words, every) or by_message[-1])

    def _images(self, found: Collection[bytes]) -> list[Image]:
        return [self._known[data] for data in dict.fromkeys(found) if data in self._known]


def without(messages: Sequence[ModelMessage], images: Collection[Image]) -> list[ModelMessage]:
    """Return the messages with the names of ``images`` instead of their bytes."""
    names = {image.data: image.name for image in images}
    return [_without(message, names) for message in messages]


def _without(message: ModelMessage, names: dict[bytes, str]) -> ModelMessage:
    if not isinstance(message, ModelRequest):
        return message
    parts = [
        replace(part, content=[_named_only(each, names) for each in part.content])
        if isinstance(part, UserPromptPart) and not isinstance(part.content, str)
        else part
        for part in message.parts
    ]
    return replace(message, parts=parts)


def _named_only(content: UserContent, names: dict[bytes, str]) -> UserContent:
    if isinstance(content, BinaryContent) and content.data in names:
        return REFUSED_FILE.format(names[content.data])
    return content


def _pictures(message: ModelMessage) -> list[bytes]:
    return [content.data for content in _contents(message) if isinstance(content, BinaryContent)]


def _contents(message: ModelMessage) -> Iterator[Any]:
    for part in message.parts:
        if isinstance(part, UserPromptPart) and not isinstance(part.content, str):
            yield from part.content


def _named(error: ModelHTTPError, words: str, pictures: Collection[bytes]) -> list[bytes]:
    """Return the pictures at the places of the request that the provider's words name."""
    request = getattr(error.__cause__, "request", None)
    try:
        body = json.loads(request.content) if request is not None else None
    except (ValueError, RecursionError, RuntimeError):  # also a body that was streamed
        return []
    named = named_files(body, words)
    if not named:
        return []
    encoded = {data: base64.b64encode(data).decode() for data in pictures}
    return [data for data, text in encoded.items() if any(each.endswith(text) for each in named)]
