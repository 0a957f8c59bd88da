"""What a run cost: told, listed, or honestly unknown."""

from decimal import Decimal

import pytest

from agents.harness.decopilot.usage import cost_of, total_cost


@pytest.mark.parametrize(
    ("told", "listed", "at_provider", "cost"),
    [
        pytest.param(0.02, Decimal("0.03"), True, 0.02, id="the provider's word"),
        pytest.param(0.02, None, False, 0.02, id="also a gateway's"),
        pytest.param(0, Decimal("0.03"), True, 0.0, id="free"),
        pytest.param(None, Decimal("0.03"), True, 0.03, id="by the list"),
        pytest.param(None, Decimal("0.03"), False, None, id="another's server"),
        pytest.param(None, None, True, None, id="no list has it"),
        pytest.param(True, None, True, None, id="no number"),
        pytest.param("0.02", None, True, None, id="no number either"),
    ],
)
def test_one_request(told, listed, at_provider, cost):
    assert cost_of(told, listed, at_provider=at_provider) == cost


@pytest.mark.parametrize(
    ("costs", "total"), [([0.25, 0.5], 0.75), ([0.25, None], None), ([None], None), ([], None)]
)
def test_what_is_known_in_part_is_unknown(costs, total):
    assert total_cost(costs) == total
