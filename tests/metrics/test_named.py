"""Names of metrics: text to value and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankfield.errors import MetricError
from rankfield.metrics import METRICS, STANDARD_METRICS, Metric, canonical_name

numbers = st.floats(0, 999, exclude_min=True, allow_subnormal=False)
flags = st.booleans()
parameters = {
    "nDCG": st.fixed_dictionaries({}, optional={"gain": st.just("exp"), "condensed": flags}),
    "ERR": st.fixed_dictionaries({}, optional={"max": numbers, "condensed": flags}),
    "RBP": st.fixed_dictionaries(
        {}, optional={"p": st.floats(0, 1, exclude_min=True, exclude_max=True), "condensed": flags}
    ),
    "RR": st.fixed_dictionaries({}, optional={"rel": numbers, "condensed": flags}),
    "mAP": st.fixed_dictionaries({}, optional={"rel": numbers}),
    "Judged": st.just({}),
}
metrics = st.sampled_from(sorted(parameters)).flatmap(
    lambda family: st.builds(
        lambda cutoff, given: Metric(family, cutoff, tuple(given.items())),
        st.none() | st.integers(1, 10**6),
        parameters[family],
    )
)


@given(metrics, st.randoms(use_true_random=False))
def test_text_and_back(metric: Metric, random: object) -> None:
    assert Metric.parse(str(metric)) == metric
    assert Metric.parse(str(metric).lower()) == metric
    assert Metric.parse(f"  {str(metric).upper().replace(',', ' ,  ')} ") == metric
    assert str(Metric.parse(str(metric))) == str(metric)


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("ndcg@10", "nDCG@10"),
        ("ndcg_exp@10", "nDCG(gain=exp)@10"),
        ("nDCG(gain=linear, max=4, condensed=false)@010", "nDCG@10"),
        ("ndcg(condensed=TRUE, gain=EXP)@3", "nDCG(gain=exp, condensed=true)@3"),
        ("mrr@10", "RR@10"),
        ("map@1000", "mAP@1000"),
        ("AP", "mAP"),
        ("recall@100", "R@100"),
        ("precision@10", "P@10"),
        ("P(rel=2.50)@10", "P(rel=2.5)@10"),
        ("err@20", "ERR@20"),
        ("ERR(max=1e2)@20", "ERR(max=100)@20"),
        ("ERR( max = 4.0 )", "ERR(max=4)"),
        ("rbp@10", "RBP@10"),
        ("RBP(p=0.90)", "RBP"),
        ("rbp(p=.8)", "RBP(p=0.8)"),
        ("judged@10", "Judged@10"),
        ("Judged()", "Judged"),
    ],
)
def test_spellings(given: str, canonical: str) -> None:
    assert str(Metric.parse(given)) == canonical == canonical_name(given)


def test_values() -> None:
    assert Metric.parse("ERR").value("max") is None  # the scale's
    assert Metric.parse("nDCG(gain=exp)").value("max") == 4
    assert Metric.parse("RBP").value("p") == 0.9
    assert Metric.parse("R@10").value("rel") is None
    assert Metric.parse("R(rel=0)@10").value("rel") == 0
    assert Metric("nDCG", 10) == Metric("nDCG", 10, (("gain", "linear"), ("condensed", False)))
    assert len({Metric.parse("mrr@10"), Metric("RR", 10)}) == 1
    assert [canonical_name(name) for name in STANDARD_METRICS] == list(STANDARD_METRICS)
    assert canonical_name("split") == "split"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "such as nDCG@10"),
        ("nDCG@", "at least 1 after @, found ''"),
        ("nDCG(@10", "such as nDCG@10"),
        ("nDCG@10)", "at least 1 after @"),
        ("nDGC@10", "Did you mean 'nDCG'"),
        ("presicion@10", "Did you mean 'P'"),
        ("xyz", f"expected one of {', '.join(family.name for family in METRICS.values())}"),
        ("R", "a cutoff is missing"),
        ("nDCG(gian=exp)@10", "nDCG has gain, max, condensed. Did you mean 'gain'"),
        ("RBP(gain=exp)", "RBP has p, condensed"),
        ("Judged(condensed=true)@10", "Judged has none"),
        ("nDCG(gain=log)@10", "expected one of linear, exp, found 'log'"),
        ("nDCG(gain)@10", "name=value"),
        ("nDCG(max=3)@10", "no meaning with linear gain"),
        ("ndcg_exp(gain=exp)@10", "gain is given twice"),
        ("RBP(p=1)", "between 0 and 1"),
        ("RBP(p=nan)", "between 0 and 1"),
        ("ERR(max=0)", "above 0"),
        ("ERR(max=4000)", "below 1000"),
        ("nDCG@99999999999999999999", "from 1 to 1,000,000,000"),
        ("P(rel=inf)@10", "finite"),
        ("P(condensed=1)@10", "true or false"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(MetricError) as caught:
        Metric.parse(text)
    assert message in str(caught.value)


def test_a_name_of_absurd_length_is_refused_at_once() -> None:
    with pytest.raises(MetricError, match="expected a name such as"):
        Metric.parse("ndcg" + " " * 100_000 + "x")
