"""The flow tells a hidden count from a task without an outcome."""

import pytest

from polyclinic.evaluation.report.flow import CohortFacts, Flow, Part, SourceFacts, flow_table, sources_table
from polyclinic.evaluation.small_counts import FEW, PROTECTS


@pytest.mark.parametrize(
    ("cases", "hidden", "shown"), [(12, "", 12), (None, "small", FEW), (None, "protects", PROTECTS), (None, "", "–")]
)
def test_a_hidden_count_is_not_a_task_without_an_outcome(cases, hidden, shown):
    part = Part("Development", 100, 120, 110, cases, hidden)
    flow = Flow(100, {}, 100, 120, {}, 100, 110, (part,))
    assert flow_table(flow).rows[-1] == ("Development", 100, 110, shown)
    assert Flow.from_dict(flow.to_dict()) == flow


def test_few_subjects_of_a_source_are_not_told():
    sources = (SourceFacts("labs.csv", "table", 120, 900), SourceFacts("a.csv", "table", None, 9, few=True))
    table = sources_table(CohortFacts("f", 120, 909, sources))
    assert table.rows == (("labs.csv", "table", 120, 900), ("a.csv", "table", FEW, 9))
