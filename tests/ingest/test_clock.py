"""One clock for a cohort: UTC or local, and no time of the other in silence."""

from datetime import UTC as UTC_ZONE
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.cohort import LOCAL, UTC, Cohort
from polyclinic.ingest import IngestError, ingest
from polyclinic.ingest.clock import Clock, MixedClocks, check_zone
from polyclinic.ingest.errors import UnreadableRecord
from polyclinic.ingest.table.datetimes import read_dates

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kolkata"]
OFFSETS = st.integers(-12 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
#: Years in which the zones' rules are known to both databases.
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(second=0, microsecond=0))


def convert(texts, of_cohort=None, zone=None):
    moments = Clock(of_cohort, zone).convert(*read_dates(pl.Series(texts)))
    return list(zip(moments.time, moments.problem, strict=True))


@given(st.lists(st.tuples(MOMENTS, OFFSETS), min_size=1, max_size=5))
def test_times_with_an_offset_are_one_moment_in_utc(written):
    texts = [at.replace(tzinfo=offset).isoformat() for at, offset in written]
    assert convert(texts) == [
        (at.replace(tzinfo=offset).astimezone(UTC_ZONE).replace(tzinfo=None), None) for at, offset in written
    ]


@pytest.mark.parametrize("zone", ZONES)
@given(at=MOMENTS)
def test_times_of_a_zone_are_utc_or_have_a_problem(zone, at):
    [(time, problem)] = convert([str(at)], zone=zone)
    possible = {at.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC_ZONE) for fold in (0, 1)}
    exist = {moment for moment in possible if moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == at}
    if problem is None:
        assert {time} == {moment.replace(tzinfo=None) for moment in exist} or at.hour == at.minute == 0
    else:
        assert time is None
        assert problem == ("ambiguous time" if exist else "time that does not exist")
        assert len(exist) != 1


@pytest.mark.parametrize("zone", ZONES)
@given(moment=MOMENTS)
def test_with_their_offsets_no_two_moments_of_a_zone_fall_together(zone, moment):
    at = moment.replace(tzinfo=UTC_ZONE).astimezone(ZoneInfo(zone))
    [(time, problem)] = convert([at.isoformat()], zone=zone)
    assert (time, problem) == (moment, None)


def test_gaps_and_repeats_of_daylight_saving():
    texts = ["2024-03-31 02:30", "2024-10-27 02:30", "2024-10-27T02:30+02:00", "2024-10-27T02:30+01:00", "2024-07-01"]
    assert convert(texts, zone="Europe/Berlin") == [
        (None, "time that does not exist"),
        (None, "ambiguous time"),
        (datetime(2024, 10, 27, 0, 30), None),
        (datetime(2024, 10, 27, 1, 30), None),
        (datetime(2024, 6, 30, 22), None),
    ]


def test_a_day_without_its_midnight_begins_at_its_first_moment():
    assert convert(["2017-10-15"], zone="America/Sao_Paulo") == [(datetime(2017, 10, 15, 3), None)]


@given(
    st.sampled_from([UTC, LOCAL, None]),
    st.sampled_from([*ZONES, None]),
    st.lists(st.tuples(MOMENTS, st.none() | OFFSETS), min_size=1, max_size=8),
)
def test_no_time_of_the_other_clock_in_silence(of_cohort, zone, written):
    clock = Clock(of_cohort, zone)
    texts = [at.replace(tzinfo=offset).isoformat() for at, offset in written]
    moments = clock.convert(*read_dates(pl.Series(texts)))
    for (at, offset), time, problem in zip(written, moments.time, moments.problem, strict=True):
        assert (time is None) == (problem is not None)
        if offset is None and zone is None and time is not None:
            assert clock.found == LOCAL
            assert time == at
        elif time is not None:
            assert clock.found == UTC
    assert clock.found == of_cohort or of_cohort is None


def test_single_times_are_converted_like_columns():
    at = datetime(2024, 3, 5, 8, 15)
    assert Clock().moment(at) == at
    assert Clock().moment(at.replace(tzinfo=timezone(timedelta(hours=1)))) == datetime(2024, 3, 5, 7, 15)
    assert Clock(zone="Europe/Berlin").moment(at) == datetime(2024, 3, 5, 7, 15)
    with pytest.raises(UnreadableRecord, match="time without a zone: name the zone"):
        Clock(UTC).moment(at)


def test_a_few_offsets_do_not_decide():
    clock = Clock()
    clock.convert(*read_dates(pl.Series(["2024-03-05T08:15Z"])))
    clock.convert(*read_dates(pl.Series(["2024-03-05 08:15"] * 20)))
    with pytest.raises(MixedClocks) as mixed:
        clock.check("labs.csv")
    assert mixed.value.clock == LOCAL


@pytest.mark.parametrize("name", ["Europe/Berlim", "", "+01:00", "CET+1", "Berlin", "../../etc"])
def test_unknown_zones_are_refused(name):
    with pytest.raises(ValueError, match="unknown zone"):
        check_zone(name)


# Ingests

MAPPING = "subject: id\ntime: at\ncolumns:\n  v: {code: LAB//v, type: numeric}\n"


def write(folder, name, texts, mapping=MAPPING):
    (folder / f"{name}.yaml").write_text(mapping)
    (folder / f"{name}.csv").write_text("id,at,v\n" + "".join(f"{n},{text},1\n" for n, text in enumerate(texts)))
    return folder / f"{name}.csv", {"mapping": folder / f"{name}.yaml", "into": folder / "cohort"}


def read(folder, name, texts, mapping=MAPPING, **options):
    path, given = write(folder, name, texts, mapping)
    report = ingest("table", path, **given, **options)
    return report, Cohort.open(folder / "cohort")


LOCAL_TIMES = ["2024-03-05 08:00", "2024-03-06"]
ZONED_TIMES = ["2024-03-05 08:00+01:00", "2024-03-06T08:00:00Z"]


def test_the_clock_is_stated(tmp_path):
    assert read(tmp_path, "local", LOCAL_TIMES)[1].clock == LOCAL
    (tmp_path / "zoned").mkdir()
    assert read(tmp_path / "zoned", "zoned", ZONED_TIMES)[1].clock == UTC
    (tmp_path / "none").mkdir()
    nominal = MAPPING.replace("time: at", "time: {column: at, unit: hours}")
    assert read(tmp_path / "none", "none", ["1", "2.5"], nominal)[1].clock is None
    assert read(tmp_path / "none", "zoned", ZONED_TIMES)[1].clock == UTC
    assert read(tmp_path / "none", "none", ["1", "2.5"], nominal)[1].clock == UTC


@pytest.mark.parametrize(("first", "second"), [(LOCAL_TIMES, ZONED_TIMES), (ZONED_TIMES, LOCAL_TIMES)])
def test_a_source_of_the_other_clock_is_refused(tmp_path, first, second):
    _, before = read(tmp_path, "first", first)
    with pytest.raises(IngestError, match=r"second.csv has 2 times of another clock .*--zone"):
        read(tmp_path, "second", second)
    assert Cohort.open(tmp_path / "cohort").fingerprint == before.fingerprint


@pytest.mark.parametrize("way", ["option", "table", "time"])
def test_a_zone_makes_local_times_utc(tmp_path, way):
    read(tmp_path, "zoned", ZONED_TIMES)
    mapping = {
        "option": MAPPING,
        "table": MAPPING + "zone: Europe/Berlin\n",
        "time": MAPPING.replace("time: at", "time: {column: at, zone: Europe/Berlin}"),
    }[way]
    report, cohort = read(
        tmp_path, "local", LOCAL_TIMES, mapping, zone="America/New_York" if way != "option" else "Europe/Berlin"
    )
    assert report.rejects == {}
    assert cohort.events().collect()["time"].sort().to_list() == [  # the first is one event, by its two writings
        datetime(2024, 3, 5, 7),
        datetime(2024, 3, 5, 23),
        datetime(2024, 3, 6, 8),
    ]


@pytest.mark.parametrize("order", [1, -1])
def test_a_mixed_column_is_rejected_by_line(tmp_path, order):
    report, cohort = read(tmp_path, "mixed", (LOCAL_TIMES + ZONED_TIMES)[::order])
    assert report.rejects == {"time without a zone": 2}
    assert cohort.clock == UTC
    assert sorted(cohort.rejects["line"]) == ([2, 3] if order == 1 else [4, 5])


def test_a_source_is_read_again_when_later_times_decide(tmp_path, monkeypatch):
    monkeypatch.setattr("polyclinic.ingest.formats.delimited._BLOCK", 64)
    report, cohort = read(tmp_path, "mixed", LOCAL_TIMES * 3 + ZONED_TIMES * 3)
    assert report.rejects == {"time without a zone": 6}
    assert report.events == 6
    assert cohort.events().collect()["time"].n_unique() == 2


def test_a_cohort_of_an_older_version_has_local_times(tmp_path):
    import json

    _, cohort = read(tmp_path, "local", LOCAL_TIMES)
    file = cohort.version / "metadata" / "dataset.json"
    stated = json.loads(file.read_text())
    del stated["polyclinic"]["clock"]
    file.write_text(json.dumps(stated))
    assert Cohort.open(tmp_path / "cohort").clock == LOCAL


def test_an_unknown_zone_is_refused(tmp_path):
    with pytest.raises(IngestError, match="unknown zone 'Berlin'"):
        read(tmp_path, "local", LOCAL_TIMES, zone="Berlin")
    with pytest.raises(IngestError, match=r"local.yaml line 2.*unknown zone"):
        read(tmp_path, "local", LOCAL_TIMES, MAPPING.replace("time: at", "time: {column: at, zone: Berlin}"))


def test_parquet_and_date_columns_keep_their_zone(tmp_path):
    at = datetime(2024, 3, 5, 8)
    frame = pl.DataFrame({"id": ["1"], "at": [at], "v": [1.0]}).with_columns(
        pl.col("at").dt.replace_time_zone("Europe/Berlin")
    )
    frame.write_parquet(tmp_path / "zoned.parquet")
    (tmp_path / "m.yaml").write_text(MAPPING.replace("time: at", "time: {column: at, zone: America/New_York}"))
    ingest("table", tmp_path / "zoned.parquet", tmp_path / "cohort", mapping=tmp_path / "m.yaml")
    assert Cohort.open(tmp_path / "cohort").events().collect()["time"].to_list() == [datetime(2024, 3, 5, 7)]


def test_a_date_of_birth_and_a_number_have_no_zone(tmp_path):
    for time in ("birth: {column: at, zone: Europe/Berlin}", "time: {column: at, unit: hours, zone: Europe/Berlin}"):
        with pytest.raises(IngestError, match="zone"):
            read(tmp_path, "local", LOCAL_TIMES, MAPPING.replace("time: at", time))


def test_other_sources_have_the_clock_of_the_cohort(tmp_path):
    """A waveform and an object of DICOM without offset cannot be placed among times in UTC."""
    import numpy as np
    import wfdb

    (tmp_path / "ecg").mkdir()
    signal = np.sin(np.arange(1000) / 10)[:, None]
    wfdb.wrsamp(
        "r1", fs=100, units=["mV"], sig_name=["I"], p_signal=signal, fmt=["16"], write_dir=str(tmp_path / "ecg"),
        base_date=datetime(2024, 3, 5).date(), base_time=datetime(2024, 3, 5, 8, 15).time(),
    )  # fmt: skip
    _, before = read(tmp_path, "zoned", ZONED_TIMES)
    with pytest.raises(IngestError, match="ecg has 1 times of another clock"):
        ingest("wfdb", tmp_path / "ecg", tmp_path / "cohort")
    assert Cohort.open(tmp_path / "cohort").fingerprint == before.fingerprint
    ingest("wfdb", tmp_path / "ecg", tmp_path / "cohort", zone="Europe/Berlin")
    times = Cohort.open(tmp_path / "cohort").events().filter(pl.col("code") == "WAVEFORM//ECG//mV").collect()["time"]
    assert times.to_list() == [datetime(2024, 3, 5, 7, 15)]
