"""Numbers are read as they were meant from all columns together, or the guess asks; never as another number."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polyclinic.ingest import IngestError
from tests.ingest.sinks import read_table
from tests.ingest.table.guess.tables import guess_of, line_of, mapping_of

relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
NUMBERS = st.lists(
    st.tuples(st.integers(0, 999), st.integers(1_000, 9_999_999), st.integers(0, 99_999)), min_size=4, max_size=12
)


def _written(number: float, digits: int, decimal: str, thousands: str) -> str:
    text = f"{number:,.{digits}f}"
    return text.replace(",", "_").replace(".", decimal).replace("_", thousands)


@relaxed
@given(
    numbers=NUMBERS,
    signs=st.sampled_from([(",", "."), (".", ","), (",", ""), (".", ""), (".", "'"), (",", " ")]),
    digits=st.integers(1, 3),
)
def test_numbers_are_read_as_they_were_written_or_asked_for(tmp_path, numbers, signs, digits):
    rows = ["patient;crp;platelets;cells"]
    meant = set()
    for line, (whole, large, part) in enumerate(numbers):
        small = float(f"{whole}.{part:05}"[: len(str(whole)) + 1 + digits])
        cells = [_written(small, digits, *signs), _written(large, 0, *signs), _written(large + small, 1, *signs)]
        rows.append(";".join([f"P{line}", *cells]))
        meant |= {round(small, 3), large, round(large + small, 1)}
    guess = guess_of(tmp_path, "\n".join(rows) + "\n")
    kept = None
    with suppress(IngestError):  # it asks
        kept = read_table(tmp_path / "t.csv", guess)
    if kept is not None:
        numbers_read = [value for *_, value in kept.events if isinstance(value, float)]
        assert all(any(abs(value - one) <= 1e-6 * abs(one) + 1e-6 for one in meant) for value in numbers_read)
        assert numbers_read


def test_points_are_thousands_where_another_column_has_decimal_commas(tmp_path):
    text = "patient;crp;platelets\nP1;0,5;150.111\nP2;12,4;99.000\nP3;7,1;210.500\n"
    mapping = mapping_of(tmp_path, guess := guess_of(tmp_path, text))
    assert (mapping.decimal, mapping.thousands) == (",", ".")
    assert "so that platelets has thousands" in line_of(guess, "decimal")
    assert [event[3] for event in read_table(tmp_path / "t.csv", guess).events if "platelets" in event[2]] == [
        150111, 99000, 210500,
    ]  # fmt: skip


def test_commas_are_thousands_where_another_column_has_decimal_points(tmp_path):
    text = 'patient,crp,platelets\nP1,0.5,"150,111"\nP2,12.4,"99,000"\n'
    mapping = mapping_of(tmp_path, guess_of(tmp_path, text))
    assert (mapping.decimal, mapping.thousands) == (".", ",")


@pytest.mark.parametrize("numbers", [["150.111", "99.250", "210.500"], ["150,111", "99,250", "210,500"]])
def test_one_and_a_bit_or_a_thousand_is_asked_for(tmp_path, numbers):
    guess = guess_of(tmp_path, "patient;platelets\n" + "".join(f"P{n};{text}\n" for n, text in enumerate(numbers)))
    assert 'decimal: "?"  # column platelets: 1' in guess


@pytest.mark.parametrize("numbers", [["0.111", "99.250"], ["1.5", "99.250"], ["1234.567", "99.250"], ["5", "7"]])
def test_decimal_points_need_no_line(tmp_path, numbers):
    guess = guess_of(tmp_path, "patient;x\n" + "".join(f"P{n};{text}\n" for n, text in enumerate(numbers)))
    assert "decimal" not in guess
    assert "thousands" not in guess


def test_limits_have_decimal_commas_too(tmp_path):
    mapping = mapping_of(tmp_path, guess_of(tmp_path, "patient;troponin\nP1;<0,01\nP2;0,04\nP3;>100\n"))
    assert mapping.decimal == ","
    assert mapping.columns["troponin"].type == "numeric"


def test_numbers_with_their_unit_in_the_cell_have_decimal_commas_too(tmp_path):
    lines = "".join(f"P{n};{n},{n + 1} mg/L\n" for n in range(9))
    mapping = mapping_of(tmp_path, guess := guess_of(tmp_path, f"patient;crp\n{lines}"))
    assert (mapping.decimal, mapping.columns["crp"].code) == (",", "LAB//crp//mg/L")
    assert max(event[3] for event in read_table(tmp_path / "t.csv", guess).events) == pytest.approx(8.9)
