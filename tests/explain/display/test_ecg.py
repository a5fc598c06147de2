import numpy as np
import pytest
from matplotlib import pyplot

from polyclinic.explain.attribution import EcgAttribution, Segment
from polyclinic.explain.display.ecg import ecg


@pytest.fixture
def attribution():
    trace = np.sin(np.arange(100) / 5)[None].repeat(2, axis=0)
    trace[1, 50:] = np.nan
    scores = np.zeros((2, 100))
    scores[0, 20:40], scores[1, 45] = 0.1, -1
    return EcgAttribution("blob", 3.0, 100.0, ("II", "V1"), trace, scores)


def test_segments_name_lead_and_time(attribution):
    assert attribution.segments(200) == (
        Segment("II", 200, 400, pytest.approx(2.0)),
        Segment("V1", 400, 600, -1.0),
    )
    assert attribution.segments(600)[0][:3] == ("II", 0, 600)
    assert attribution.windows(600).shape == (2, 2)
    assert attribution.total == pytest.approx(1.0)
    assert [name for name, _ in attribution.by_lead] == ["II", "V1"]
    with pytest.raises(ValueError, match="at least one sample of 10 ms"):
        attribution.segments(1)


def test_the_plot_names_leads_and_milliseconds(attribution):
    axes = ecg(attribution)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["II", "V1"]
    assert axes.get_xlabel().startswith("ms")
    assert axes.get_xlim() == (0, 1000)
    assert [(patch.get_x(), patch.get_y(), bool(patch.get_hatch())) for patch in axes.patches] == [
        (200, 0, False),
        (400, 1, True),
    ]
    pyplot.close(axes.figure)


def test_a_plot_without_scores(attribution):
    without_leads = EcgAttribution("blob", 3.0, 100.0, (), np.zeros((0, 100)), np.zeros((0, 100)))
    pyplot.close(ecg(without_leads).figure)
    assert without_leads.segments() == ()
