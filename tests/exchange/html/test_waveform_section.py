"""The section of an electrocardiogram."""

import re
from dataclasses import replace

import numpy as np
import pytest

from polyclinic.exchange.html import assessment_page
from polyclinic.exchange.html.waveform_section import LISTED, waveform_section
from polyclinic.explain.attribution import EcgAttribution
from tests.evaluation.report.test_page import outline
from tests.exchange import patients


@pytest.fixture(scope="module")
def section():
    return waveform_section(patients.recording(), "log-odds")


def row_of(section, lead):
    (row,) = [row for row in re.findall(r"<tr>.*?</tr>", section, flags=re.DOTALL) if f'scope="row">{lead}<' in row]
    return row


def test_each_recorded_lead_has_a_row_with_its_contribution(section):
    leads = re.findall(r'<th scope="row">(\w+)</th>', section)
    assert leads == list(patients.recording().leads)
    totals = dict(patients.recording().by_lead)
    assert f"{totals['II']:+.2f}" in row_of(section, "II")
    assert "Electrocardiogram, recorded 5.5 h before" in section
    assert "Each row is 3 mV high" in section


def test_shading_has_sign_and_place(section):
    assert "rect" not in row_of(section, "III")
    assert {*re.findall(r'<rect class="(\w+)"', row_of(section, "V5"))} == {"for"}
    assert {*re.findall(r'<rect class="(\w+)"', row_of(section, "I"))} == {"against"}
    places = [float(x) for x in re.findall(r'<rect [^>]*? x="([\d.]+)%"', section)]
    assert places
    assert all(0 <= place <= 98 and place % 2 == pytest.approx(0, abs=1e-6) for place in places)


def test_gaps_are_not_drawn(section):
    assert row_of(section, "V2").count("<polyline") == 1
    assert row_of(section, "V1").count("<polyline") == 2
    points = re.findall(r'points="([^"]*)"', row_of(section, "V1"))
    assert sum(len(piece.split()) for piece in points) == np.isfinite(patients.recording().trace[6]).sum()
    assert "nan" not in section.lower()


def test_the_axis_is_in_milliseconds(section):
    assert re.findall(r">(\d+) ms</text>", section) == ["0", "2000", "4000", "6000", "8000", "10000"]


def test_the_largest_segments_are_listed(section):
    (listed,) = re.findall(r"Largest contributions: ([^<]*)", section)
    assert len(listed.split(";")) == LISTED
    largest = patients.recording().segments()[0]
    assert listed.startswith(f"{largest.lead}, {largest.start_ms:.0f} to {largest.end_ms:.0f} ms (+")


def test_without_scores_or_time():
    plain = replace(patients.recording(), hours=float("nan"), scores=np.zeros_like(patients.recording().scores))
    section = waveform_section(plain, "log-odds")
    assert "<h3>Electrocardiogram</h3>" in section
    assert "<rect" not in section
    assert "Largest contributions" not in section


def test_a_short_recording_of_one_lead():
    short = EcgAttribution("a", 1.0, 100.0, ("II",), np.ones((1, 130)), np.full((1, 130), 0.01))
    section = waveform_section(short, "log-odds")
    assert len(re.findall(r'<rect class="for"', section)) == 7
    ends = [float(x) + float(width) for x, width in re.findall(r'x="([\d.]+)%" width="([\d.]+)%"', section)]
    assert max(ends) == pytest.approx(100, abs=0.1)


def test_the_page_has_the_section_before_the_others():
    html = assessment_page(patients.assessment(), {patients.TASK: patients.evidence_with_ecg()})
    assert html.index("<h3>Electrocardiogram") < html.index("<h3>Image") < html.index("<h3>Structured record")
    assert len(html) < 600_000
    outline(html)
