"""Columns converted at once give what they give one by one."""

from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.ingest.table import alike
from tests.ingest.sinks import read_table

CELL = st.sampled_from(["", "NA", "0", "1", "-3.5", "1e60", "high", "yes", "x" * 300])
TYPES = {"numeric": "LAB", "categorical": "FINDING", "text": "NOTE", "label": "OUTCOME"}


def _mapping(types: list[str], ranged: bool) -> str:
    extra = {"numeric": ", range: [-1, 1]"} if ranged else {}
    lines = [
        f'  "c{n}": {{code: {TYPES[type_]}//c{n}, type: {type_}{extra.get(type_, "") if n % 2 else ""}}}'
        for n, type_ in enumerate(types)
    ]
    return "\n".join(["subject: id", "columns:", *lines])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    types=st.lists(st.sampled_from(sorted(TYPES)), min_size=2, max_size=6),
    rows=st.lists(st.lists(CELL, min_size=6, max_size=6), min_size=1, max_size=5),
    ranged=st.booleans(),
)
def test_columns_at_once_are_the_same_as_one_by_one(tmp_path, types, rows, ranged):
    table = tmp_path / "t.csv"
    lines = [",".join(["id", *(f"c{n}" for n in range(len(types)))])]
    lines += [",".join([f"p{line}", *row[: len(types)]]) for line, row in enumerate(rows)]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    together = read_table(table, _mapping(types, ranged))
    with mock.patch.object(alike, "_CELLS", 1):
        alone = read_table(table, _mapping(types, ranged))
    assert together.events == alone.events
    assert sorted(together.rejects, key=str) == sorted(alone.rejects, key=str)
    assert together.rows == alone.rows


def test_a_reject_names_its_column(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("id,c0,c1,c2\n1,5,high,7\n")
    kept = read_table(table, _mapping(["numeric"] * 3, ranged=False))
    assert [reject.remedy.split(":")[0] for reject in kept.rejects] == ["column 'c1'"]
    assert [event[2] for event in kept.events] == ["LAB//c0", "LAB//c2"]


def test_a_column_may_be_called_like_a_pattern(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("id,*,^.*$\n1,5,6\n")
    kept = read_table(
        table, 'subject: id\ncolumns: {"*": {code: LAB//a, type: numeric}, "^.*$": {code: LAB//b, type: numeric}}'
    )
    assert [event[2:] for event in kept.events] == [("LAB//a", 5), ("LAB//b", 6)]
