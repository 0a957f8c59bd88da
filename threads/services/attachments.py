"""Storing attached files, from the upload to the message that they are sent with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from django.urls import reverse

from agents.harness.files import read_data_url
from mesh.models import Organization, User
from threads.core.attachments import (
    ALL_LIMIT,
    MOST,
    files_of,
    id_in,
    limit_of,
    media_type_of,
    sort_of,
)
from threads.core.attachments import name_of as clean_name
from threads.errors import (
    FileEmpty,
    FilesNotTaken,
    FileTooLarge,
    FileUnknown,
    FileUnsupported,
    TooManyFiles,
    TooManyUnsent,
)
from threads.models import Attachment, Thread

KEEP_UNSENT: Final = timedelta(days=1)
MOST_UNSENT: Final = 50  # files of one person


def keep_file(*, owner: User, organization: Organization, name: str, data: bytes) -> Attachment:
    """Store a file that may be sent with a message, and return it.

    Raises:
        FileEmpty, FileUnsupported, FileTooLarge: it is not stored.
        TooManyUnsent: the person has too many unsent files already.
    """
    made = _checked(Attachment(owner=owner, organization=organization, name=name, data=data))
    if Attachment.objects.filter(owner=owner, thread=None).count() >= MOST_UNSENT:
        raise TooManyUnsent
    made.save()
    return made


def drop_file(*, owner: User, organization: Organization, file_id: UUID) -> None:
    """Remove an unsent file. Safe to repeat; a sent file stays with its thread."""
    Attachment.objects.filter(
        owner=owner, organization=organization, pk=file_id, thread=None
    ).delete()


def attach(
    *, parts: Sequence[dict[str, Any]], thread: Thread, by: User, takes: Collection[str]
) -> list[dict[str, Any]]:
    """Return a message's ``parts`` with each file stored in ``thread`` and named by its address.

    Whole files (``data:`` URLs, as the AI SDK's clients send them) are stored too. Runs in the
    transaction of the message: a refused message stores nothing.

    Raises:
        TooManyFiles, FileUnknown, FileEmpty, FileUnsupported, FileTooLarge.
        FilesNotTaken: the agent takes only other sorts (``takes``).
    """
    files = files_of(parts)
    if not files:
        return list(parts)
    if len(files) > MOST:
        raise TooManyFiles
    known = _known([id_ for part in files if (id_ := id_in(part.get("url")))], thread, by)
    kept = [_kept(part, known, thread, by) for part in files]
    if sum(each.size for each in kept) > ALL_LIMIT:
        raise TooManyFiles
    if refused := [each.name for each in kept if sort_of(each.media_type) not in takes]:
        raise FilesNotTaken(f"This agent can't take {', '.join(refused)}.", files=refused)
    Attachment.objects.bulk_create([each for each in kept if each.pk not in known])
    Attachment.objects.filter(pk__in=known).update(thread=thread)
    named = iter(kept)
    return [_named(part, next(named)) if part.get("type") == "file" else part for part in parts]


def prune_unsent(*, now: datetime) -> int:
    """Remove the files that were never sent; return how many."""
    unsent = Attachment.objects.filter(thread=None, created_at__lt=now - KEEP_UNSENT)
    count, _ = unsent.delete()
    return count


def part_of(attachment: Attachment) -> dict[str, Any]:
    """Return the message part for the file, in the AI SDK's form."""
    address = reverse("file", args=[attachment.organization.slug, attachment.pk])
    return {
        "type": "file",
        "mediaType": attachment.media_type,
        "filename": attachment.name,
        "url": address,
    }


def _known(ids: Sequence[UUID], thread: Thread, by: User) -> dict[UUID, Attachment]:
    mine = Attachment.objects.filter(
        Q(thread=None) | Q(thread=thread), owner=by, organization=thread.organization_id
    )
    return mine.select_related("organization").defer("data").in_bulk(ids)


def _kept(part: Any, known: dict[UUID, Attachment], thread: Thread, by: User) -> Attachment:
    """Return the row of a part: a known one, or a new one, not yet saved."""
    url = str(part.get("url", ""))
    if id_ := id_in(url):
        if id_ not in known:
            raise FileUnknown
        return known[id_]
    data = read_data_url(url)
    if data is None:
        raise FileUnknown
    name = part.get("filename") or "file"
    return _checked(
        Attachment(owner=by, organization=thread.organization, thread=thread, name=name, data=data)
    )


def _checked(made: Attachment) -> Attachment:
    """Check the file, and set its name, size and media type from the bytes."""
    made.name, made.size = clean_name(made.name), len(made.data)
    if not made.size:
        raise FileEmpty(f"{made.name} is empty.")
    made.media_type = media_type_of(bytes(made.data))
    if not made.media_type:
        raise FileUnsupported(f"{made.name} is neither a picture nor a text.")
    if made.size > limit_of(made.media_type):
        raise FileTooLarge(f"{made.name} is too large.")
    return made


def _named(part: dict[str, Any], attachment: Attachment) -> dict[str, Any]:
    return {**part, **part_of(attachment)}
