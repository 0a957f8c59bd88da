"""The model and the effort of a message: what may be chosen, and what the program then gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from agents.catalog import load_catalog, models_of
from agents.core.offers import NOTHING, Offer, is_id, levels_in
from agents.core.sections import Known
from links.models import Link
from links.wire.messages import Harnesses
from threads.errors import EffortUnavailable, ModelUnavailable
from threads.models import AgentOptions, Run, Thread

LONGEST_EFFORT = 40
NAMED = 5  # what an error names at most


def offer_in(thread: Thread) -> Offer:
    """Return what the thread's program offers; before its first turn, what it last offered on the
    thread's machine."""
    row = AgentOptions.objects.filter(thread=thread).first()
    if row is not None:
        return Offer.from_json(row.options)
    if thread.link_id is None:
        return NOTHING
    return offers_on(thread.link_id).get(thread.harness_id, NOTHING)


def offers_on(link_id: UUID) -> dict[str, Offer]:
    """Return what each program last offered on a machine, in the version that it has now."""
    return {kind: known.offer for kind, known in known_on(link_id).items()}


def known_on(link_id: UUID, reports: Harnesses | None = None) -> dict[str, Known]:
    """Return what is known of the programs on a machine; ``reports`` are its, if they are at
    hand."""
    rows = AgentOptions.objects.filter(link_id=link_id, thread=None)
    if reports is None:
        found = Link.objects.filter(pk=link_id).values_list("harnesses", flat=True).first()
        reports = found or {}
    known = {row.harness_id: Known(_offer_of(row, reports), row.trouble) for row in rows}
    for kind, report in reports.items():
        if levels := levels_in(report.get("levels")):  # as it said when the machine was linked
            before = known.get(kind, Known())
            if before.offer.levels is None:
                known[kind] = replace(before, offer=replace(before.offer, levels=levels))
    return known


def known_in(thread: Thread) -> Known:
    """Return what is known of a thread's program."""
    known = known_on(thread.link_id).get(thread.harness_id, Known()) if thread.link_id else Known()
    row = AgentOptions.objects.filter(thread=thread).first()
    return Known(Offer.from_json(row.options), known.trouble) if row else known


def _offer_of(row: AgentOptions, reports: Mapping[str, Mapping[str, str]]) -> Offer:
    now = reports.get(row.harness_id, {}).get("version", row.version)
    is_of_now = not row.version or now == row.version
    return Offer.from_json(row.options) if is_of_now else NOTHING


def choose(
    *, thread: Thread, harness_id: str, offer: Offer, model: str | None, effort: str | None
) -> tuple[str, str]:
    """Return the model and the effort of a message: those given, else the thread's.

    Raises:
        ModelUnavailable, EffortUnavailable: the program does not have what was given.
    """
    kind = load_catalog().find(harness_id)
    title = kind.title if kind else harness_id
    has_program = kind is None or kind.needs == "capability"
    if model and not (has_program and is_id(model) and _may_be(model, harness_id, offer)):
        names = [each.id for each in offer.models]
        raise ModelUnavailable(f"{title} does not offer the model {model[:80]}.{_listed(names)}")
    chosen = thread.model if model is None else model
    efforts = {each.id for each in offer.efforts_of(chosen)}
    if effort and not (has_program and _is_effort(effort) and (not efforts or effort in efforts)):
        names = [each.id for each in offer.efforts_of(chosen)]
        raise EffortUnavailable(f"{title} has no effort {effort[:40]} here.{_listed(names)}")
    kept = thread.effort if not efforts or thread.effort in efforts else ""
    return chosen, kept if effort is None else effort


def _may_be(model: str, harness_id: str, offer: Offer) -> bool:
    kind = load_catalog().find(harness_id)
    catalogued = {each.id for each in kind.models} if kind else set()
    return offer.lists(model) or f"{harness_id}:{model}" in catalogued


def _is_effort(effort: str) -> bool:
    return is_id(effort, most=LONGEST_EFFORT)


def _listed(names: list[str]) -> str:
    more = ", …" if len(names) > NAMED else ""
    return f" It has: {', '.join(names[:NAMED])}{more}" if names else ""


def models_of_run(run: Run) -> dict[str, Any]:
    """Return ``models`` of a HarnessStreamInput: the chosen model, else the tier's, if the program
    offers it; else none, and its own default answers."""
    harness_id = run.thread.harness_id
    found = models_of(harness_id, run.tier)
    named = str(found["thinking"]["id"])
    own = named.removeprefix(f"{harness_id}:")
    if run.model:
        found["thinking"] |= {"id": f"{harness_id}:{run.model}", "title": run.model}
    elif own != run.tier and not offer_in(run.thread).lists(own):
        found["thinking"] |= {"id": f"{harness_id}:{run.tier}"}
    return found
