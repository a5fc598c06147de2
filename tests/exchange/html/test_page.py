import doctest
import re
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256
from html import escape
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from polyclinic.assess import Abstention, Assessment, CodeCount, MapSetting, Trust
from polyclinic.exchange.html import Evidence, assessment_page, formatting, write_assessment_page
from polyclinic.exchange.html.image_section import image_section, shared_image, stops_of
from polyclinic.explain.display.summaries import strength_of
from polyclinic.explain.localisation.coordinates import region_in_picture
from polyclinic.explain.localisation.localisation import localise
from polyclinic.features.note.layout import Note
from tests.evaluation.report.test_page import outline
from tests.exchange import patients

HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def whole():
    return assessment_page(patients.assessment(), {patients.TASK: patients.evidence()})


def read(html):
    return " ".join(" ".join(outline(html).text).split())


def values(html, name):
    return [value for found, value in outline(html).attributes if found == name]


def test_docstring_examples():
    found = doctest.testmod(formatting)
    assert found.attempted == 4
    assert found.failed == 0


def test_tags_nest_ids_are_unique_and_references_resolve(whole):
    ids = values(whole, "id")
    assert len(ids) == len(set(ids))
    assert set(values(whole, "for")) <= set(ids)
    assert {link[1:] for link in values(whole, "href") if link.startswith("#")} <= set(ids)
    assert set(re.findall(r"url\(#([\w-]+)\)", whole)) <= set(ids)


def test_headings_descend_one_level_at_a_time(whole):
    levels = [int(tag[1]) for tag in outline(whole).tags if re.fullmatch(r"h\d", tag)]
    assert levels[:2] == [1, 2]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for title in ("Input data", "Image, CR AP", "Notes", "Measurements over time", "Similar patients"):
        assert f"<h3>{title}</h3>" in whole


def test_nothing_is_fetched(whole):
    found = outline(whole)
    assert {"link", "iframe", "object", "embed", "base"}.isdisjoint(found.tags)
    assert found.tags.count("script") == 1
    assert not [name for name, _ in found.attributes if name.startswith("on") or name == "style"]
    addresses = [value for name, value in found.attributes if name in ("href", "src", "xlink:href", "action")]
    assert all(address.startswith(("#", "data:image/jpeg;base64,")) for address in addresses)
    assert "http" not in re.sub(r'http-equiv="Content-Security-Policy"', "", whole)


def test_the_policy_allows_this_style_and_this_script_alone(whole):
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', whole)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", whole, flags=re.DOTALL)
        assert rules[f"{tag}-src"] == f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
    assert whole.index("Content-Security-Policy") < whole.index("<style>")


def test_the_page_is_small(whole):
    assert len(whole) < 400_000


def test_the_title_names_only_the_subject(whole):
    assert re.findall(r"<title>(.*?)</title>", whole.partition("</head>")[0]) == [
        f"Assessment of subject {patients.SUBJECT}"
    ]


def test_the_answer_comes_first_with_interval_and_threshold(whole):
    text = read(whole)
    assert text.index("70 %") < text.index("Input data") < text.index("Findings")
    assert "58 to 81 %" in text
    assert "At or above the threshold of 31 %: positive." in text
    assert "Sensitivity .860 [.780, .920]" in text
    assert "Cannot be excluded at 90 % confidence: yes" in text
    assert "Probability 70 %, interval 58 % to 81 %, threshold 31 %" in values(whole, "aria-label")


def test_every_contribution_has_its_number(whole):
    text = read(whole)
    for shown in ("Lactate, last 4.2 mmol/L +0.61", "Creatinine, last 74 µmol/L −0.33", "The other 4 +0.03"):
        assert shown in text
    for shown in ("Structured record +18.2", "Images +12.8", "Without any input 24 %", "With all inputs 70 %"):
        assert shown in text
    assert "the two need not sum to each other" in text
    for subject in ("40163", "40089", "40002", "40141"):
        assert subject in text


def test_words_are_marked_in_place(whole):
    assert re.search(r'<span class="word for level-5" title="\+0.42 log-odds">methotrexate</span>', whole)
    assert re.search(r'<span class="word against level-\d negation" title="[^"]*negation">No</span>', whole)
    assert re.findall(r'class="word[^"]*denied" title="[^"]*denied">(\w+)</span>', whole)[:3] == [
        "chemotherapy", "or", "steroids"
    ]  # fmt: skip
    note = re.search(r"<h4>Indication</h4><p>(.*?)</p>", whole, flags=re.DOTALL)[1]
    assert re.sub(r"<[^>]*>", "", note) == escape(patients.NOTES[0].text)  # nothing is lost or moved


def test_an_unread_note_is_labelled():
    evidence = Evidence(patients.attribution(), {}, (*patients.NOTES, Note("history", "Too long ago.")))
    html = assessment_page(patients.assessment(), {patients.TASK: evidence})
    assert "not read by the model" in html
    assert "Too long ago." in html


def test_the_map_is_sent_as_bytes(whole):
    (sent,) = values(whole, "data-map")
    strength = strength_of(patients.picture())
    shape = int(values(whole, "data-height")[0]), int(values(whole, "data-width")[0])
    drawn = np.frombuffer(b64decode(sent), dtype=np.int8).reshape(shape) / 127
    assert shape == strength.shape
    assert np.abs(drawn - strength).max() <= 0.5 / 127 + 1e-6


def test_each_stop_has_the_circles_of_localise(whole):
    stops = stops_of(patients.picture())
    assert [round(stop.sensitivity, 6) for stop in stops] == [round(k / 20, 6) for k in range(21)]
    for place, stop in enumerate(stops):
        found = localise(patients.picture().scores, stop.sensitivity)
        assert stop.regions == tuple(filter(None, (region_in_picture(one, patients.picture().canvas) for one in found)))
        group = re.search(rf'<g data-stop="{place}" display="(\w+)">(.*?)</g>', whole)
        assert (group[1] == "inline") == (place == 10)
        circles = re.findall(r'class="ring" cx="([-\d.]+)" cy="([-\d.]+)" r="([\d.]+)"', group[2])
        expected = [one.circle.xyr for one in stop.regions[:12]]
        np.testing.assert_allclose(np.array(circles, dtype=float).ravel(), np.ravel(expected), atol=0.051)


@pytest.mark.parametrize("sensitivity", [0.0, 0.37, 0.78, 1.0])
def test_the_initial_sensitivity_is_that_of_the_audit(sensitivity):
    setting = MapSetting(method="map_gradients", smoothing=0.05, sensitivity=sensitivity, chosen_on="tuning")
    html = image_section(patients.picture(), patients.image_file(), "image-0", "0-0", setting)
    stops = [float(one) for one in values(html, "data-stops")[0].split()]
    assert sensitivity in stops
    assert stops == sorted(stops)
    first = stops.index(sensitivity)
    assert len(stops) == 21
    assert f'max="20" step="1" value="{first}"' in html
    assert f">{sensitivity:.2f}</output>" in html
    found = localise(patients.picture().scores, sensitivity)
    assert stops_of(patients.picture(), sensitivity)[first].regions == tuple(
        filter(None, (region_in_picture(one, patients.picture().canvas) for one in found))
    )


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [("passed", "which passed the audit"), ("failed", "do not rely on them"), ("not_audited", "has not been audited")],
)
def test_the_audit_of_the_method_is_reported(verdict, expected):
    trust = Trust(verdict=verdict, reason="" if verdict == "not_audited" else "rank correlation .81")
    setting = MapSetting(method="map_gradients", smoothing=0, sensitivity=0.5, chosen_on="tuning", trust=trust)
    explanation = patients.explanation().model_copy(update={"trust": trust, "map": setting})
    assessment = patients.assessment((patients.answer(explanation=explanation),))
    html = assessment_page(assessment, {patients.TASK: patients.evidence()})
    assert expected in html
    assert ("rank correlation .81" in html) == bool(trust.reason)
    assert ("the explanations of the networks alone" in html) == (verdict != "not_audited")
    assert ("do not rely on where it points" in html) == (verdict == "failed")


def test_without_script_the_map_is_blended_into_the_image(whole):
    (still,) = [value for value in values(whole, "src") if value.startswith("data:")]
    with Image.open(BytesIO(b64decode(still.partition(",")[2]))) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    amber = pixels[..., 0] - pixels[..., 2]
    x, y, _ = stops_of(patients.picture())[10].regions[0].circle.xyr
    assert amber[int(y), int(x)] > 60
    assert np.median(amber) < 10
    assert 'class="live" hidden' in whole
    assert '<form class="controls" hidden>' in whole


def test_controls_have_labels_and_images_have_text(whole):
    found = outline(whole)
    assert found.tags.count("input") == 4
    assert 'for="sensitivity-0-0"' in whole
    assert any(value.startswith("Image CR AP with circles around 2 regions") for value in values(whole, "aria-label"))
    assert all(name in ("alt", "aria-label") or value for name, value in found.attributes if name in ("alt", "role"))


def test_text_cannot_become_markup():
    notes = tuple(Note(HOSTILE, HOSTILE + one.text) for one in patients.NOTES)
    shifted = [
        word._replace(start=word.start + len(HOSTILE), end=word.end + len(HOSTILE), section=HOSTILE)
        for word in patients.note().words
    ]
    attribution = patients.attribution(note=patients.NoteAttribution(tuple(shifted)), view=f"CR//{HOSTILE}")
    record = patients.record(unknown=(CodeCount(code=f"LAB//{HOSTILE}//{HOSTILE}", events=1),), missing=(HOSTILE,))
    answer = patients.answer(question=f"{HOSTILE}? {HOSTILE}", task=HOSTILE, unit=HOSTILE)
    html = assessment_page(
        patients.assessment((answer,), (record,), (HOSTILE,)),
        {HOSTILE: Evidence(attribution, {patients.BLOB: patients.image_file()}, notes)},
    )
    found = outline(html)
    assert found.tags.count("script") == 1
    assert "onerror" not in [name for name, _ in found.attributes]
    assert html.count("alert(1)") == html.count("&lt;script&gt;alert(1)") * 2 > 10


def test_an_assessment_without_evidence_has_a_page(tmp_path):
    kept = Assessment.from_json(patients.assessment().to_json())
    write_assessment_page(kept, tmp_path / "page.html")
    text = read((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "methotrexate" in text
    assert "Only the largest contributions are shown." in text
    assert "Sensitivity 0" not in text


def test_an_input_that_is_not_usable_has_its_reason():
    reason = "image 0a.png is damaged: ingest its source again"
    record = patients.record(present=("structured",), missing=("image",), unusable=("image",), unusable_blobs=(reason,))
    text = read(assessment_page(patients.assessment(records=(record,))))
    assert "images: not usable" in text
    assert f"Recorded, but not usable: {reason}." in text
    assert "not usable:" not in read(assessment_page(patients.assessment()))


def test_an_abstention_precedes_the_number_and_removes_the_call():
    html = assessment_page(patients.abstaining())
    text = read(html)
    assert text.index("The model abstains") < text.index("Do not rely on") < text.index("58 to 81 %")
    assert "the threshold of" not in text
    assert "notes: not recorded" in text
    assert 'class="doubtful"' in html
    assert "AUROC is .560 [.470, .650]; with all inputs it is .790" in text


@pytest.mark.parametrize(
    ("kind", "outputs", "shown"),
    [
        ("multiclass", {"sepsis": 0.2, "pneumonia": 0.7}, "pneumonia 70 %"),
        ("multilabel", {"effusion": 0.2, "nodule": 0.0004}, "nodule < 0.1 %"),
        ("time_to_event", {"by 7 days": 0.03, "by 30 days": 0.2}, "within 7 days 3.0 %"),
        ("regression", {"value": 8.41}, "8.41 days"),
    ],
)
def test_every_kind_of_answer_has_its_numbers(kind, outputs, shown):
    estimates = tuple(patients.OutputEstimate(output=name, value=value) for name, value in outputs.items())
    unit = "days" if kind == "regression" else None
    answer = patients.answer(kind=kind, outputs=estimates, sets=(), explanation=None, unit=unit)
    assert shown in read(assessment_page(patients.assessment((answer,))))


@pytest.mark.parametrize(("kind", "unit", "scale"), [("regression", "days", "days"), ("binary", None, "log-odds")])
def test_contributions_have_the_unit_of_the_output(kind, unit, scale):
    estimates = (patients.OutputEstimate(output="value", value=8.41),)
    answer = patients.answer(kind=kind, outputs=estimates, sets=(), unit=unit)
    html = assessment_page(patients.assessment((answer,)), {patients.TASK: patients.evidence()})
    shown = read(html)
    assert f"Adds, {scale}" in shown
    assert f"0.42 {scale}" in html
    assert ("log-odds" in html) == (scale == "log-odds")


def test_several_answers_share_an_image():
    answers = (patients.answer(), patients.answer(task="again"))
    html = assessment_page(
        patients.assessment(answers), {patients.TASK: patients.evidence(), "again": patients.evidence()}
    )
    assert html.count("<image ") == 1
    assert html.count("<article ") == 2
    test_tags_nest_ids_are_unique_and_references_resolve(html)


def test_the_same_assessment_gives_the_same_page(whole):
    assert assessment_page(patients.assessment(), {patients.TASK: patients.evidence()}) == whole


def test_text_colours_have_sufficient_contrast():
    style = (assessment_page(patients.abstaining())).partition("</style>")[0]
    for theme in re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", theme))
        for ink in ("ink", "muted", "for", "against", "accent"):
            assert contrast(colours[ink], colours["paper"]) >= 4.5, ink
            assert contrast(colours["ink"], colours["for-tint"]) >= 4.5
            assert contrast(colours["ink"], colours["against-tint"]) >= 4.5
        assert contrast(colours["muted"], colours["ground"]) >= 4.5
        assert contrast(colours["warn"], colours["warn-ground"]) >= 4.5


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour):
    """Relative luminance of WCAG 2.2."""
    colour = colour if len(colour) == 7 else "#" + "".join(2 * one for one in colour[1:])
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_an_inapplicable_task_has_its_reason_and_no_number():
    reason = Abstention(reason="not_asked", text="The question is not asked of this patient: it is over.")
    answer = patients.answer(prediction_time=None, outputs=(), sets=(), explanation=None, abstentions=(reason,))
    text = read(assessment_page(patients.assessment((answer,))))
    assert "The question is not asked of this patient: it is over. No prediction is given." in text
    assert "Not predicted" in text


def test_an_image_without_positive_scores_has_no_circle():
    negative = replace(patients.picture(), scores=-np.abs(patients.picture().scores))
    evidence = Evidence(patients.attribution().with_pictures((negative,)), {patients.BLOB: patients.image_file()})
    html = assessment_page(patients.assessment(), {patients.TASK: evidence})
    assert 'class="ring"' not in html
    assert "No positive scores in the image." in html


@pytest.mark.parametrize(("mode", "scale"), [("L", 1.0), ("I;16", 257.0), ("F", 1 / 255)])
def test_images_of_any_depth_look_the_same(mode, scale):
    grey = np.linspace(0, 255, 64 * 48).reshape(64, 48)
    kind = {"L": np.uint8, "I;16": np.uint16, "F": np.float32}[mode]
    buffer = BytesIO()
    Image.fromarray((grey * scale).astype(kind)).save(buffer, "TIFF")
    (address,) = re.findall(r'href="data:image/jpeg;base64,([^"]*)"', shared_image(buffer.getvalue(), "film"))
    with Image.open(BytesIO(b64decode(address))) as shown:
        assert np.abs(np.asarray(shown).astype(float) - grey).max() < 6
