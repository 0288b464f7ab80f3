"""Money is decimal: an instance costs its price, parts add up to their total, and every refusal says what to write."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backsweep_api.documents import document_from_tree
from backsweep_api.errors import SpecError
from backsweep_api.instance_types import INSTANCE_TYPES, SPOT_FACTOR, InstanceTypeName
from backsweep_api.pricing import Prices, additive, decimal_seconds, money_text, prices_of
from backsweep_api.quantities import GIB, read_quantity
from backsweep_api.spec.money import Pricing
from backsweep_api.validation import validate

TREE = {
    "apiVersion": "backsweep.dev/v1alpha1",
    "kind": "BacktestSweep",
    "metadata": {"name": "t"},
    "spec": {"data": {"name": "sp500-20"}, "axes": {"profile": ["hrp"]}},
}
HEAD = """apiVersion: backsweep.dev/v1alpha1
kind: BacktestSweep
metadata: {name: t}
spec:
  data: {name: sp500-20}
  axes: {profile: [hrp]}
  pricing: """


def pricing_of(**fields: object) -> Pricing:
    document = document_from_tree({**TREE, "spec": {**TREE["spec"], "pricing": fields}})  # type: ignore[dict-item]
    assert document.spec.pricing is not None
    return document.spec.pricing


def test_cores_and_memory_have_prices_of_their_own() -> None:
    prices = prices_of(pricing_of(cpuHour="0.04", memoryGiBHour="0.005", currency="EUR"))
    assert prices.cost(Decimal(3600), Decimal(0)) == Decimal("0.04")
    assert prices.cost(Decimal(2 * 3600), Decimal(8 * 3600)) == Decimal("0.12")
    assert money_text(prices.cost(Decimal(1), Decimal(0))) == "0.000011"
    assert (prices.currency, prices.basis) == ("EUR", "the document's own prices")


def test_a_price_left_out_is_nothing() -> None:
    assert prices_of(pricing_of(cpuHour="0.04")).cost(Decimal(0), Decimal(10**6)) == 0


@pytest.mark.parametrize("name", get_args(InstanceTypeName))
@pytest.mark.parametrize("spot", [False, True])
def test_a_whole_instance_costs_its_price(name: InstanceTypeName, spot: bool) -> None:
    instance = INSTANCE_TYPES[name]
    prices = prices_of(pricing_of(instanceType=name, spot=spot))
    hour = prices.cost(instance.cores * 3600, instance.memory_gib * 3600)
    expected = instance.hour * (SPOT_FACTOR if spot else 1)
    assert money_text(hour) == money_text(expected)
    assert abs(prices.core_hour / prices.gib_hour - Decimal("7.5")) < Decimal("1e-20")
    assert f"{name} at {expected.normalize():f} USD an hour" in prices.basis


def test_a_tenth_of_a_second_thousands_of_times_loses_nothing() -> None:
    prices = Prices("USD", Decimal("0.1"), Decimal("0.3"), "test")
    small = [prices.cost(decimal_seconds(0.1), decimal_seconds(0.2)) for _ in range(36_000)]
    assert money_text(sum(small, Decimal(0))) == "0.700000"


def test_no_context_of_a_caller_changes_an_amount() -> None:
    prices = prices_of(pricing_of(instanceType="c5.large"))
    expected = money_text(prices.cost(Decimal("12345.678901"), Decimal("54321.1")))
    with localcontext() as context:
        context.prec = 4
        again = prices_of(pricing_of(instanceType="c5.large"))
        assert money_text(again.cost(Decimal("12345.678901"), Decimal("54321.1"))) == expected


@settings(deadline=None, max_examples=200)
@given(st.lists(st.decimals(0, 1000, places=9), max_size=30))
def test_rounded_parts_add_up_to_the_rounded_total(amounts: list[Decimal]) -> None:
    parts = additive(amounts)
    assert f"{sum(parts, Decimal(0)):.6f}" == money_text(sum(amounts, Decimal(0)))
    for part, amount in zip(parts, amounts, strict=True):
        assert part >= 0
        assert abs(part - amount) <= Decimal("0.000001")


def test_halves_round_to_the_even_millionth() -> None:
    assert [money_text(Decimal(text)) for text in ("0.0000005", "0.0000015", "2")] == [
        "0.000000",
        "0.000002",
        "2.000000",
    ]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ("{instanceType: m5.lage}", 'spec.pricing.instanceType: found "m5.lage"; did you mean m5.large?'),
        (
            "{instanceType: m5.large, currency: EUR}",
            "spec.pricing.currency: found EUR, but instance types are listed in USD; write USD, or cpuHour and "
            "memoryGiBHour",
        ),
        (
            "{cpuHour: '1', spot: true}",
            "spec.pricing.spot: belongs to instanceType; write spot prices as cpuHour and memoryGiBHour and leave it "
            "out",
        ),
        ("{cpuHour: 0.1}", "spec.pricing.cpuHour: found 0.1; write a quoted decimal"),
    ],
)
def test_prices_that_mean_nothing_are_refused(fields: str, sentence: str) -> None:
    (found,) = validate(HEAD + fields + "\n")
    assert found.startswith(sentence)


def test_an_unknown_type_is_told_every_known_one() -> None:
    (found,) = validate(HEAD + "{instanceType: quantum}\n")
    assert all(name in found for name in INSTANCE_TYPES)
    assert set(INSTANCE_TYPES) == set(get_args(InstanceTypeName))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", "2"),
        ("500m", "0.5"),
        ("4Gi", "4294967296"),
        ("1.5G", "1500000000"),
        ("0.1", "0.1"),
        ("1e3", "1000"),
        ("12E6", "12000000"),
        ("1E", "1000000000000000000"),
        ("100n", "0.0000001"),
        ("2Pi", "2251799813685248"),
    ],
)
def test_quantities_are_exact(text: str, expected: str) -> None:
    assert read_quantity(text) == Decimal(expected)
    assert read_quantity("4Gi") / GIB == 4


@pytest.mark.parametrize("text", ["", "4gi", "-1", "Gi", "1e", "1e999"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r'write one such as "2", "500m" or "4Gi"'):
        read_quantity(text)
