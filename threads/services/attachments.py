"""Storing attached files, from the upload to the message that they are sent with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from django.urls import reverse

from agents.harness.files import read_data_url
from mesh.models import Organization, User
from threads.core import attachments as files
from threads.core import pictures
from threads.core.attachments import ALL_LIMIT, MOST, File, files_of, id_in, name_of, sort_of
from threads.errors import (
    FileEmpty,
    FilesNotTaken,
    FileTooLarge,
    FileUnknown,
    FileUnsupported,
    PictureDamaged,
    PictureTooLarge,
    TooManyFiles,
    TooManyUnsent,
)
from threads.models import Attachment, Thread

KEEP_UNSENT: Final = timedelta(days=1)
MOST_UNSENT: Final = 50  # files of one person


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A stored file. ``note`` says how it differs from what was given; empty if it doesn't."""

    row: Attachment
    note: str

    @property
    def part(self) -> dict[str, Any]:
        return part_of(self.row, self.note)


def keep_file(*, owner: User, organization: Organization, name: str, data: bytes) -> KeptFile:
    """Store a file that may be sent with a message, and return it.

    Raises:
        FileEmpty, FileUnsupported, FileTooLarge, PictureDamaged, PictureTooLarge: it is not stored.
        TooManyUnsent: the person has too many unsent files already.
    """
    if Attachment.objects.filter(owner=owner, thread=None).count() >= MOST_UNSENT:
        raise TooManyUnsent
    file = _read(name, data)
    made = _row(file, owner=owner, organization=organization)
    made.save()
    return KeptFile(made, file.note)


def drop_file(*, owner: User, organization: Organization, file_id: UUID) -> None:
    """Remove an unsent file. Safe to repeat; a sent file stays with its thread."""
    Attachment.objects.filter(
        owner=owner, organization=organization, pk=file_id, thread=None
    ).delete()


# The files of a message: the id of a stored one, or a whole one that is not yet stored.
Given = Sequence[UUID | File]


def read_files(parts: Sequence[Mapping[str, Any]]) -> Given:
    """Return the files in a message's ``parts``.

    Whole files (``data:`` URLs, as the AI SDK's clients send them) are read here, before the
    message's transaction: a large picture takes a second.

    Raises:
        TooManyFiles, FileUnknown, FileEmpty, FileUnsupported, FileTooLarge, PictureDamaged,
        PictureTooLarge.
    """
    given = files_of(parts)
    if len(given) > MOST:
        raise TooManyFiles
    return [_given(part) for part in given]


def attach(
    *,
    parts: Sequence[dict[str, Any]],
    given: Given,
    thread: Thread,
    by: User,
    takes: Collection[str],
) -> list[dict[str, Any]]:
    """Return a message's ``parts`` with each file stored in ``thread`` and named by its address.

    ``given`` are the parts' files, as ``read_files`` returns them. Runs in the transaction of the
    message: a refused message stores nothing.

    Raises:
        TooManyFiles, FileUnknown.
        FilesNotTaken: the agent takes only other sorts (``takes``).
    """
    if not given:
        return list(parts)
    known = _known([each for each in given if isinstance(each, UUID)], thread, by)
    kept = [_kept(each, known, thread, by) for each in given]
    rows = [each.row for each in kept]
    if sum(row.size for row in rows) > ALL_LIMIT:
        raise TooManyFiles
    if refused := [row.name for row in rows if sort_of(row.media_type) not in takes]:
        raise FilesNotTaken(f"This agent can't take {', '.join(refused)}.", files=refused)
    Attachment.objects.bulk_create([row for row in rows if row.pk not in known])
    Attachment.objects.filter(pk__in=known).update(thread=thread)
    named = iter(kept)
    return [part | next(named).part if part.get("type") == "file" else part for part in parts]


def prune_unsent(*, now: datetime) -> int:
    """Remove the files that were never sent; return how many."""
    unsent = Attachment.objects.filter(thread=None, created_at__lt=now - KEEP_UNSENT)
    count, _ = unsent.delete()
    return count


def part_of(attachment: Attachment, note: str = "") -> dict[str, Any]:
    """Return the message part for the file, in the AI SDK's form."""
    address = reverse("file", args=[attachment.organization.slug, attachment.pk])
    part: dict[str, Any] = {
        "type": "file",
        "mediaType": attachment.media_type,
        "filename": attachment.name,
        "url": address,
    }
    return part | ({"providerMetadata": {"mesh": {"note": note}}} if note else {})


def _known(ids: Sequence[UUID], thread: Thread, by: User) -> dict[UUID, Attachment]:
    mine = Attachment.objects.filter(
        Q(thread=None) | Q(thread=thread), owner=by, organization=thread.organization_id
    )
    return mine.select_related("organization").defer("data").in_bulk(ids)


def _given(part: Mapping[str, Any]) -> UUID | File:
    url = str(part.get("url", ""))
    if id_ := id_in(url):
        return id_
    data = read_data_url(url)
    if data is None:
        raise FileUnknown
    return _read(part.get("filename") or "file", data)


def _kept(
    given: UUID | File, known: Mapping[UUID, Attachment], thread: Thread, by: User
) -> KeptFile:
    """Return the row of a file: a known one, or a new one, not yet saved."""
    if isinstance(given, UUID):
        if given not in known:
            raise FileUnknown
        return KeptFile(known[given], "")
    row = _row(given, owner=by, organization=thread.organization)
    row.thread = thread
    return KeptFile(row, given.note)


def _read(name: object, data: bytes) -> File:
    """Return the file as it is stored; its type comes from the bytes."""
    called = name_of(name)
    if not data:
        raise FileEmpty(f"{called} is empty.")
    try:
        return files.read_file(called, data)
    except files.Unsupported as exc:
        raise FileUnsupported(f"{called} is neither a picture nor a text.") from exc
    except files.TooLarge as exc:
        raise FileTooLarge(f"{called} is too large.") from exc
    except pictures.PictureDamaged as exc:
        raise PictureDamaged(f"{called} is damaged or incomplete.") from exc
    except pictures.PictureTooLarge as exc:
        raise PictureTooLarge(f"{called} has more than 50 megapixels.") from exc


def _row(file: File, *, owner: User, organization: Organization) -> Attachment:
    return Attachment(
        owner=owner,
        organization=organization,
        name=file.name,
        media_type=file.media_type,
        size=len(file.data),
        data=file.data,
        width=file.width,
        height=file.height,
    )
