"""FROC curves: monotonicity, counts, and intervals."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.evaluation import Bootstrap
from polyclinic.explain.audit.froc import RULES, STOPS, Case, Froc, Hit, froc, localisation_iou, pointing_game, sweep
from polyclinic.explain.localisation.coordinates import box_on_map, canvas_of
from polyclinic.explain.localisation.localisation import localise
from polyclinic.explain.localisation.regions import Box
from tests.explain.maps import blob, heat_maps
from tests.properties import examples

FEW = Bootstrap(100)
SIDE = (224, 224)


@st.composite
def cases(draw):
    """A map with up to three lesions."""
    heat, spacing = draw(heat_maps())
    lesions = []
    for _ in range(draw(st.integers(0, 3))):
        sides = [sorted(draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in heat.shape]
        lesions.append(Box(tuple(float(a) for a, _ in sides), tuple(float(b + 1) for _, b in sides)))
    return Case(heat, lesions, draw(st.sampled_from("abc")), spacing)


hits = st.builds(
    Hit,
    rule=st.sampled_from(sorted(RULES)),
    margin=st.sampled_from([0, 0.5, 3]),
    least_iou=st.sampled_from([0.01, 0.3]),
)
dials = st.lists(st.floats(0, 1), min_size=1, max_size=25, unique=True).map(sorted)


@given(st.lists(cases(), min_size=1, max_size=3), hits, dials)
@settings(deadline=None, max_examples=examples(200))
def test_recall_and_false_regions_increase_with_sensitivity(some, hit, stops):
    swept = sweep(some, hit, stops)
    assert (np.diff(swept.found, axis=1) >= 0).all()
    assert (np.diff(swept.false, axis=1) >= 0).all()
    assert (swept.found <= swept.lesions[:, None]).all()
    curve = Froc.of(swept, FEW)
    for figures in ([p.recall for p in curve.points], [p.false_regions for p in curve.points]):
        values = [figure.value for figure in figures if figure.value is not None]
        assert values == sorted(values)


def touches(region, lesion: Box) -> bool:
    pixels = np.argwhere(region.mask.array())
    return bool(((pixels + 1 > lesion.start) & (pixels < lesion.stop)).all(axis=1).any())


@given(cases(), dials)
@settings(deadline=None, max_examples=examples(200))
def test_counts_bound_the_displayed_regions(case, stops):
    """No more regions outside all lesions than counted as false; a region on each lesion counted as found."""
    swept = sweep([case], stops=stops)
    for place, stop in enumerate(stops):
        shown = localise(case.heat, stop, case.spacing)
        beside = sum(not any(touches(region, lesion) for lesion in case.lesions) for region in shown)
        assert beside <= swept.false[0, place]
        reached = sum(any(touches(region, lesion) for region in shown) for lesion in case.lesions)
        assert swept.found[0, place] <= reached


@given(cases(), dials, st.sampled_from([1e-9, 3.0, 1e6]))
@settings(deadline=None)
def test_the_unit_of_the_map_does_not_matter(case, stops, factor):
    one, other = sweep([case], stops=stops), sweep([case._replace(heat=case.heat * factor)], stops=stops)
    if not np.array_equal(one.found, other.found) or not np.array_equal(one.false, other.false):
        # only a share that is the threshold itself may round to its other side
        strengths = np.unique(case.heat[case.heat > 0] / case.heat.max())
        assert np.abs(strengths[:, None] - (1 - np.array(stops))).min() < 1e-12


def two_hills() -> Case:
    """A lesion under the higher of two hills that merge at the foot."""
    heat = blob(SIDE, 60, 60, 12) + 0.6 * blob(SIDE, 60, 130, 12)
    return Case(heat, [Box.of_xyxy(45, 45, 75, 75)], "one")


def test_a_known_curve():
    swept = sweep([two_hills()])
    stops = np.array(swept.stops)
    assert swept.found[0].tolist() == (swept.found[0] > 0).astype(int).tolist()
    first_found, first_false = stops[swept.found[0].argmax()], stops[swept.false[0].argmax()]
    assert first_found <= 0.02
    assert first_false == 0.4
    assert len(localise(two_hills().heat, 0.5)) == 2
    assert len(localise(two_hills().heat, 0.99)) == 1  # merged, and
    assert swept.false[0, -1] == 1  # still counted


def test_one_region_covering_everything_does_not_score_perfectly():
    """Counted separately at each stop, s = 1 would find all lesions with no false region."""
    heat = blob(SIDE, 112, 112, 40)
    lesions = [Box.of_xyxy(x, y, x + 20, y + 20) for x in (10, 190) for y in (10, 190)]
    (whole,) = localise(heat, 1)
    assert all(touches(whole, lesion) for lesion in lesions)
    curve = froc([Case(heat, lesions, "one")], bootstrap=FEW)
    assert curve.points[-1].recall.value == 0
    assert curve.points[-1].false_regions.value == 1


def test_the_rules_differ_as_documented():
    heat = np.zeros(SIDE)
    heat[100:110, 100:140] = 0.9
    heat[105, 101] = 1  # the peak, far from the centre
    left, middle = Box.of_xyxy(95, 95, 108, 115), Box.of_xyxy(115, 95, 125, 115)
    tight, loose = Box.of_xyxy(100, 100, 140, 112), Box.of_xyxy(100, 0, 140, 224)
    case = Case(heat, [left, middle, tight, loose], "one")
    expected = {"peak": [1, 0, 1, 1], "centre": [0, 1, 1, 1]}
    for rule, found in expected.items():
        for lesion, is_found in zip(case.lesions, found, strict=True):
            assert sweep([case._replace(lesions=[lesion])], Hit(rule)).found[0, -1] == is_found, rule
    assert sweep([case], Hit("iou", least_iou=0.5)).found[0, -1] == 1
    near = case._replace(lesions=[Box.of_xyxy(103, 95, 108, 115)])
    assert sweep([near]).found[0, -1] == 0
    assert sweep([near], Hit(margin=2)).found[0, -1] == 1
    assert sweep([near], Hit(margin=2)).false[0, -1] == 0


def test_two_regions_in_one_lesion_find_it_once_and_are_not_false():
    heat = blob(SIDE, 60, 60) + 0.9 * blob(SIDE, 60, 120)
    swept = sweep([Case(heat, [Box.of_xyxy(40, 40, 140, 80)], "one")])
    assert swept.found[0, -1] == 1
    assert swept.false[0, -1] == 0


def test_maps_without_positive_attribution_find_and_show_nothing():
    lesion = [Box.of_xyxy(0, 0, 9, 9)]
    one = np.zeros((20, 20))
    one[3, 3] = 1
    swept = sweep([Case(heat, lesion, "a") for heat in (np.zeros((20, 20)), -np.ones((20, 20)), one)])
    assert not swept.found.any()
    assert not swept.false.any()
    whole = sweep([Case(np.ones((20, 20)), lesion, "a")])
    assert whole.found.all()
    with pytest.raises(ValueError, match="not finite"):
        sweep([Case(np.full((20, 20), np.nan), lesion, "a")])


def many(pictures: int = 30, per_subject: int = 1, seed: int = 0) -> list[Case]:
    """Lesions and distractors of various strengths; every third image is healthy."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(pictures):
        heat = random.uniform(0.3, 1) * blob((64, 64), 16, 16) + random.uniform(0.2, 1) * blob((64, 64), 48, 48)
        heat[2, 40:42] = 1.0  # the highest is beside the point in all
        lesions = [Box.of_xyxy(8, 8, 24, 24)] if number % 3 else []
        made.append(Case(heat, lesions, f"subject {number // per_subject}"))
    return made


@pytest.mark.slow
def test_the_chosen_sensitivity_is_the_lowest_with_the_highest_allowed_recall():
    curve = froc(many(), bootstrap=FEW)
    for most_false in (1.0, 1.3, 2.0, 3.0):
        chosen = curve.choose(most_false)
        allowed = [point for point in curve.points if point.false_regions.value <= most_false]
        best = max(point.recall.value for point in allowed)
        assert chosen.recall.value == best
        assert chosen.sensitivity == min(point.sensitivity for point in allowed if point.recall.value == best)
        assert curve.at(chosen.sensitivity) == chosen
    assert curve.choose(1.0).recall.value < curve.choose(2.0).recall.value <= 1
    assert curve.at(0.5049) == curve.at(0.5)


@pytest.mark.slow
def test_impossible_choices_are_rejected():
    healthy = froc([case for case in many() if not case.lesions], bootstrap=FEW)
    assert "no lesion is known" in healthy.points[0].recall.reason
    assert healthy.points[-1].false_regions.value > 0
    with pytest.raises(ValueError, match="no lesion is known"):
        healthy.choose()
    with pytest.raises(ValueError, match=r"more than 0\.5 false regions"):
        froc(many(), bootstrap=FEW).choose(0.5)
    with pytest.raises(ValueError, match=r"starts at a sensitivity of 0\.5"):
        froc(many(3), stops=(0.5, 1), bootstrap=FEW).at(0.2)


def test_intervals_are_by_subject():
    """Four identical images per subject give the same interval as one."""
    single = many(36)
    fourfold = [case._replace(heat=case.heat.copy()) for case in single for _ in range(4)]
    one, same = froc(single, stops=(0.6,)).points[0], froc(fourfold, stops=(0.6,)).points[0]
    assert one.recall.value == same.recall.value
    assert one.recall.n == 24
    assert one.false_regions.n == 36
    assert same.recall.width == pytest.approx(one.recall.width)
    assert one.recall.contains(one.recall.value)
    apart = [case._replace(subject=number) for number, case in enumerate(fourfold)]
    assert froc(apart, stops=(0.6,)).points[0].recall.width < 0.7 * one.recall.width


@pytest.mark.slow
def test_the_interval_of_recall_covers():
    """Compared with the value from many images."""
    truth = froc(many(1500, seed=99), stops=(0.5,), bootstrap=FEW).points[0].recall.value
    covered = [froc(many(45, seed=seed), stops=(0.5,), bootstrap=Bootstrap(200)).points[0].recall for seed in range(60)]
    assert sum(figure.contains(truth) for figure in covered) >= 51  # 85 % of 60: 95 % less three standard errors


def test_curve_json_round_trip():
    curve = froc(many(12), Hit("iou", least_iou=0.3), stops=(0.1, 0.5, 1), bootstrap=FEW)
    assert Froc.from_json(curve.to_json()) == curve
    assert (curve.pictures, curve.lesions, curve.subjects) == (12, 8, 12)


def test_the_pointing_game():
    hit = Case(blob(SIDE, 60, 60), [Box.of_xyxy(50, 50, 70, 70)], "a")
    miss = hit._replace(heat=blob(SIDE, 60, 75), subject="b")
    blank = hit._replace(heat=-blob(SIDE, 60, 60), subject="c")
    healthy = hit._replace(lesions=[], subject="d")
    assert pointing_game([hit, miss, blank, healthy]).value == pytest.approx(1 / 3)
    assert pointing_game([hit, miss, blank, healthy], margin=15).value == pytest.approx(2 / 3)
    assert pointing_game([hit, miss, healthy]).n == 2
    assert "no picture has a known lesion" in pointing_game([healthy]).reason
    figure = pointing_game([case._replace(subject=n) for n in range(12) for case in (hit, miss)])
    assert figure.value == 0.5
    assert "same value" in figure.reason  # each subject has one of both
    figure = pointing_game([case._replace(subject=(n, case.subject)) for n in range(12) for case in (hit, miss)])
    assert 0.2 < figure.low < 0.5 < figure.high < 0.8


def test_mean_iou_is_over_lesions_with_their_best_box():
    heat = np.zeros(SIDE)
    heat[10:20, 10:20] = 1
    heat[100:110, 100:120] = 0.9
    lesions = [Box.of_xyxy(10, 10, 20, 20), Box.of_xyxy(100, 100, 110, 110), Box.of_xyxy(200, 200, 210, 210)]
    assert localisation_iou([Case(heat, lesions, "a")], 0.2).value == pytest.approx((1 + 0.5 + 0) / 3)
    assert localisation_iou([Case(heat, lesions, "a")], 0).value == pytest.approx(1 / 3)
    assert localisation_iou([Case(-heat, lesions, "a")], 1).value == 0
    assert localisation_iou([Case(heat, [], "a")], 0.2).value is None


def test_invalid_sweeps_are_rejected():
    case = two_hills()
    for stops in ((), (0.5, 0.5), (0.5, 0.1)):
        with pytest.raises(ValueError, match="stops are sensitivities in ascending order"):
            sweep([case], stops=stops)
    with pytest.raises(ValueError, match="sensitivity"):
        sweep([case], stops=(0.5, 1.5))
    with pytest.raises(ValueError, match="there are no images"):
        sweep([])
    with pytest.raises(ValueError, match="number of axes"):
        sweep([case._replace(lesions=[Box((0.0,) * 3, (1.0,) * 3)])])
    with pytest.raises(ValueError, match=r"unknown rule 'near': choose from peak, centre, iou"):
        Hit("near")
    for wrong in ({"margin": -1}, {"least_iou": 0}, {"margin": np.nan}):
        with pytest.raises(ValueError, match="margin"):
            Hit(**wrong)
    assert len(STOPS) == 101


def test_a_lesion_of_the_image_is_mapped_to_the_canvas():
    """The truth is in pixels of the stored image, the map in those of the canvas."""
    lesion, canvas = Box.of_xyxy(300, 100, 360, 180), canvas_of(400, 500)
    on_map = box_on_map(lesion, canvas)
    middle = np.add(on_map.start, on_map.stop) / 2
    swept = sweep([Case(blob(SIDE, *middle), [on_map], "a")])
    assert swept.found[0, -1] == 1
    assert swept.false[0, -1] == 0


@pytest.mark.slow
def test_regions_and_their_measurement_need_neither_torch_nor_matplotlib_nor_polars():
    code = (
        "import sys, numpy as np, polyclinic.explain.localisation.coordinates;"
        "from polyclinic.explain.audit.froc import *;"
        "froc([Case(np.eye(9), [Box((0., 0.), (9., 9.))], 0)]);"
        "print(*{'torch', 'matplotlib', 'polars', 'sklearn', 'pandas'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
