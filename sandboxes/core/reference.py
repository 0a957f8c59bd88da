"""The steps of the reference's migrations 085–088, shared by our migrations and importer (ADR 14).

Each step is a pure function of one row.

Migrations import this module, so it is frozen: a new rule is a new function. Nothing here
raises for any JSON value, and a function that has nothing to change gives back its argument:
``is`` tells whether the row is to be written. Where the reference would have failed, or set a
row's metadata to NULL (an aggregate over an empty map, a map that is no object), the value
stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

Object = dict[str, Any]

MAP: Final = "vmMap"
KIND: Final = "sandboxProviderKind"
OLD_KIND: Final = "runnerKind"  # the key's name before 085
UNNAMED_KIND: Final = "docker"  # what an entry without a kind is taken for
HOST_KIND: Final = "host"  # 084 drops its rows
CLI_SENTINELS: Final = frozenset({"claude-code", "codex"})  # 088: no keys, only marks


def rename_runner_kind(metadata: Any) -> Any:
    """085 up: ``runnerKind`` becomes ``sandboxProviderKind`` in two-level entries.

    An entry that has both keys stays as it is.
    """
    return _each_cell(metadata, lambda cell: _renamed(cell, OLD_KIND, KIND))


def restore_runner_kind(metadata: Any) -> Any:
    """085 down: the key's old name again."""
    return _each_cell(metadata, lambda cell: _renamed(cell, KIND, OLD_KIND))


def wrap_entries(metadata: Any) -> Any:
    """086 up: a two-level entry goes below its ``sandboxProviderKind``, else ``docker``."""
    return _each_cell(metadata, lambda cell: _wrapped(cell, (KIND,)))


def collapse_entries(metadata: Any) -> Any:
    """086 down: two levels again. The first kind stays, the others are lost.

    The first as PostgreSQL orders the keys of jsonb, by length and then by bytes, so that
    SQLite, which keeps the order of writing, loses the same ones.
    """
    return _each_cell(metadata, _collapsed)


def fix_vm_map(metadata: Any) -> Any:
    """087 up: three levels, and ``sandboxProviderKind`` in every entry that named a kind.

    Changes nothing in a map that has been through it: safe to repeat.
    """
    return _each_cell(metadata, lambda cell: _each_entry(by_kind(cell)))


def is_cli_sentinel(provider_id: object) -> bool:
    """088: say whether a provider key is only the mark that a CLI was activated once."""
    return provider_id in CLI_SENTINELS if isinstance(provider_id, str) else False


def fix_text(text: str | None, step: Callable[[Any], Any]) -> str | None:
    """Return ``step`` applied to metadata that is kept as JSON text; broken text unchanged."""
    if text is None:
        return None
    try:
        before = json.loads(text)
    except (ValueError, RecursionError):
        return text
    after = step(before)
    return text if after is before else json.dumps(after, ensure_ascii=False)


def by_kind(cell: Object) -> Object:
    """Return a branch's cell as kind → entry; the entry of a two-level cell names its kind.

    Code that knew three levels may have written into a cell of two: what it wrote is newer
    and stays, should both be of one kind.
    """
    return _wrapped(cell, (KIND, OLD_KIND))


def _each_cell(metadata: Any, change: Callable[[Object], Object]) -> Any:
    """Return ``metadata`` with each branch's object changed; all else as it is."""
    if not isinstance(metadata, dict) or not isinstance(metadata.get(MAP), dict):
        return metadata
    users = metadata[MAP]
    fixed = _changed(users, lambda branches: _changed(branches, change))
    return metadata if fixed is users else {**metadata, MAP: fixed}


def _each_entry(cell: Object) -> Object:
    return _changed(cell, _one_kind_field)


def _changed(values: Object, change: Callable[[Object], Object]) -> Object:
    after = {
        key: change(value) if isinstance(value, dict) else value for key, value in values.items()
    }
    return after if any(after[key] is not values[key] for key in values) else values


def _is_entry(value: object) -> bool:
    # A cell may have a kind of that name; then it holds an object.
    return isinstance(value, dict) and "vmId" in value and not isinstance(value["vmId"], dict)


def _renamed(entry: Object, old: str, new: str) -> Object:
    if not _is_entry(entry) or old not in entry or new in entry:
        return entry
    return {new if key == old else key: value for key, value in entry.items()}


def _one_kind_field(entry: Object) -> Object:
    if OLD_KIND not in entry:
        return entry
    if KIND not in entry:
        return {KIND if key == OLD_KIND else key: value for key, value in entry.items()}
    return {key: value for key, value in entry.items() if key != OLD_KIND}


def _wrapped(cell: Object, kind_keys: tuple[str, ...]) -> Object:
    if not _is_entry(cell):
        return cell
    named = (cell.get(key) for key in kind_keys)
    kind = next((name for name in named if isinstance(name, str) and name), UNNAMED_KIND)
    newer = {key: value for key, value in cell.items() if _is_entry(value)}
    entry = {key: value for key, value in cell.items() if key not in newer}
    return {kind: entry, **newer}


def _collapsed(cell: Object) -> Object:
    if _is_entry(cell):
        return cell
    kinds = sorted(
        (kind for kind, entry in cell.items() if _is_entry(entry)),
        key=lambda kind: (len(kind.encode()), kind.encode()),
    )
    if not kinds:
        return cell
    entry: Object = cell[kinds[0]]
    return entry if KIND in entry or OLD_KIND in entry else {**entry, KIND: kinds[0]}
