"""Another tier of the same agent, for a run whose model is not available to its account."""

from __future__ import annotations

from typing import Final

from agents.catalog import load_catalog
from agents.core.options import DECOPILOT
from agents.core.tiers import FAST, SMART, THINKING, Kind
from agents.selectors import get_keys
from threads.choices import offer_in
from threads.models import Run

UNAVAILABLE: Final = "model_unavailable"
_ORDER: Final = (SMART, THINKING, FAST)


def instead_of(run: Run) -> dict[str, str] | None:
    """Return ``tier`` and ``title`` of another tier that may answer; ``None`` if there is none.

    Only one whose model the agent's program lists, as far as it has said, and neither a tier nor a
    model that was not available in this thread before.
    """
    kind = load_catalog().find(run.thread.harness_id)
    if kind is None:
        return None
    failed = [(run.tier, run.model)]
    before = Run.objects.filter(thread=run.thread_id, error_code=UNAVAILABLE)
    failed += before.values_list("tier", "model")
    models = _models(run, kind)
    tried = {model or models.get(tier, "") for tier, model in failed}
    tiers = {tier for tier, model in failed if not model}
    for tier in sorted(kind.tiers, key=lambda each: _ORDER.index(each.key)):
        model = models.get(tier.key)
        if model is not None and tier.key not in tiers and (not model or model not in tried):
            return {"tier": tier.key, "title": tier.label}
    return None


def _models(run: Run, kind: Kind) -> dict[str, str]:
    """Return the model of each tier that can answer, empty where the program chooses."""
    if kind.kind == DECOPILOT:
        keys = get_keys(organization=run.thread.organization)
        return {key: model for key, model in keys.models.items() if keys.answers_at(key)}
    offer = offer_in(run.thread)
    own = {tier.key: (tier.model_id or "").removeprefix(f"{kind.kind}:") for tier in kind.tiers}
    return {key: model for key, model in own.items() if not model or offer.lists(model)}
