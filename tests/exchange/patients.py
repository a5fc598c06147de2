"""A patient with a handmade explanation."""

from dataclasses import replace
from datetime import datetime
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image

from polyclinic import assess
from polyclinic.assess import (
    Abstention,
    Answer,
    Assessment,
    CodeCount,
    CodeShare,
    ConformalSet,
    Cost,
    Explanation,
    FeatureScore,
    Fingerprints,
    InCommon,
    MeasurementScore,
    ModalityShare,
    Operating,
    Outcome,
    OutputEstimate,
    PictureRegions,
    Record,
    Similar,
    Typicality,
)
from polyclinic.demo.ecg import LEADS, SAMPLING_HZ, UNITS_PER_MV, draw_ecgs
from polyclinic.demo.patients import draw_patients
from polyclinic.demo.phantom import Build, Lesion, Radiograph, render
from polyclinic.evaluation import Difference, Estimate
from polyclinic.exchange.html import Evidence
from polyclinic.explain.attribution import (
    Attribution,
    Completeness,
    EcgAttribution,
    ImageAttribution,
    Measurement,
    NoteAttribution,
    PictureAttribution,
    SeriesAttribution,
    StructuredAttribution,
    WaveformAttribution,
    WordScore,
)
from polyclinic.explain.localisation.coordinates import canvas_of
from polyclinic.explain.sample import Output
from polyclinic.explain.shapley.modalities import ModalityShapley, Shares
from polyclinic.features.note.layout import Note, NoteLayout
from polyclinic.models.ensemble.link_functions import log_odds

AT = datetime(2021, 3, 4, 9, 30)
TASK = "demo_deterioration"
SUBJECT = 40017
BLOB = f"{'5e' * 32}.png"
NOTES = (
    Note(
        "indication",
        "71 year old woman with rigors, cough and pleuritic pain. Background of type 2 diabetes. No chemotherapy or "
        "steroids. Takes methotrexate for arthritis. ?pneumonia",
    ),
    Note(
        "findings",
        "Portable AP film. Dense consolidation in the right lower zone, with a small right effusion. The heart is not "
        "enlarged. No pneumothorax.",
    ),
)
WEIGHTS = {
    "rigors": 0.16, "methotrexate": 0.42, "pneumonia": 0.11, "consolidation": 0.31, "effusion": 0.19, "dense": 0.14,
    "cough": 0.05, "diabetes": 0.06, "no": -0.13, "chemotherapy": -0.22, "steroids": -0.09, "pneumothorax": -0.05,
    "not": -0.07, "enlarged": -0.06, "woman": -0.03, "small": -0.04, "right": 0.03, "71": 0.08,
}  # fmt: skip
FEATURES = {
    ("LAB//lactate//mmol/L", "last"): (4.2, 0.61), ("LAB//crp//mg/L", "maximum"): (181.0, 0.38),
    ("DEMOGRAPHIC//age//years", "last"): (71.0, 0.27), ("LAB//albumin//g/L", "minimum"): (27.0, 0.21),
    ("DIAGNOSIS//diabetes", "count"): (1.0, 0.12), ("LAB//potassium//mmol/L", "last"): (4.1, -0.18),
    ("LAB//creatinine//umol/L", "last"): (74.0, -0.33), ("LAB//nt_probnp//ng/L", "last"): (310.0, -0.24),
    ("DEMOGRAPHIC//sex", "= female"): (1.0, -0.08), ("LAB//haemoglobin//g/dL", "mean"): (11.2, 0.07),
    ("LAB//urea//mmol/L", "slope"): (0.21, 0.06), ("LAB//sodium//mmol/L", "hours since last"): (3.5, -0.04),
    ("LAB//glucose//mmol/L", "first"): (8.4, 0.03), ("LAB//bicarbonate//mmol/L", "last"): (float("nan"), 0.0),
    ("LAB//platelets//10^9/L", "last"): (344.0, -0.02),
}  # fmt: skip
VITALS = {
    "VITAL//heart_rate//bpm": (96, 14, 1.0), "VITAL//spo2//%": (93, -4, 1.4),
    "VITAL//respiratory_rate//bpm": (21, 7, 1.2), "VITAL//systolic_pressure//mmHg": (112, -18, 0.9),
    "VITAL//temperature//degC": (38.1, 0.6, 0.3), "VITAL//diastolic_pressure//mmHg": (64, -6, -0.4),
}  # fmt: skip


@cache
def radiograph() -> Radiograph:
    build = Build(female=True, age=71, bmi=26, hyperinflated=False, cardiothoracic_ratio=0.46, portable=True)
    return render((3, 7), build, (Lesion("consolidation", -1, 0.35, 0.75, 0.5), Lesion("effusion", -1, 0.3)))


@cache
def image_file() -> bytes:
    buffer = BytesIO()
    Image.fromarray((radiograph().pixels * 255).clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@cache
def picture() -> PictureAttribution:
    """Positive scores on the lesions, negative ones on the heart, and noise."""
    height, width = radiograph().pixels.shape
    canvas = canvas_of(height, width)
    rows, columns = np.indices((canvas.side, canvas.side))
    scores = 0.05 * np.random.default_rng(1).standard_normal((canvas.side, canvas.side))
    for box in radiograph().boxes:
        x, y = canvas.to_canvas((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
        scores += np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 260) * (
            1.0 if box.finding == "consolidation" else 0.8
        )
    scores -= 0.7 * np.exp(-((rows - 140) ** 2 + (columns - 130) ** 2) / 300)
    scores += 0.45 * np.exp(-((rows - 62) ** 2 + (columns - 150) ** 2) / 60)
    return PictureAttribution(BLOB, "CR//AP", (scores / 2500).astype(np.float32), canvas)


@cache
def note() -> NoteAttribution:
    layout, scored = NoteLayout.of(NOTES), []
    for word in layout.words:
        score = WEIGHTS.get(word.text, 0.004)
        text, denied = NOTES[word.note].text[word.start : word.end], layout.is_negated(word)
        scored.append(WordScore(text, layout.section(word), word.note, word.start, word.end, score, denied))
    return NoteAttribution(tuple(scored), marks=0.01)


@cache
def series() -> SeriesAttribution:
    random, found = np.random.default_rng(5), []
    for code, (level, drift, weight) in VITALS.items():
        for hours in np.linspace(47, 0.5, 24 if "temp" not in code else 9):
            ill = 1 / (1 + np.exp((hours - 9) / 3))
            score = weight * (0.11 * ill - 0.012) + 0.01 * random.standard_normal()
            value = level + drift * ill + 0.12 * abs(drift) * random.standard_normal()
            found.append(Measurement(code, float(hours), float(round(value, 1)), float(score)))
    return SeriesAttribution(tuple(sorted(found, key=lambda one: (-one.hours, one.code))))


@cache
def recording() -> EcgAttribution:
    """A drawn ECG without lead V6 and with a gap in V1; positive scores on ST segments, negative ones on P waves."""
    drawn = draw_ecgs(np.random.default_rng(4), draw_patients(1, 0))
    hz, patient = float(SAMPLING_HZ), 1
    trace = drawn.signals[patient].T[: len(LEADS) - 1] / UNITS_PER_MV
    times = np.arange(trace.shape[1]) / hz
    scores = np.zeros_like(trace)
    for peak in drawn.peaks_s[patient]:
        for leads, centre, height in (((1, 9, 10), 0.145, 0.004), ((0, 6), -0.165, -0.002)):
            scores[list(leads)] += height * np.exp(-0.5 * ((times - peak - centre) / 0.05) ** 2)
    trace[6, 300:420], scores[6, 300:420] = np.nan, 0
    return EcgAttribution(f"{'e6' * 32}.arrow", 5.5, hz, LEADS[: len(LEADS) - 1], trace, scores)


@cache
def structured() -> StructuredAttribution:
    return StructuredAttribution(
        tuple(f"{code} {of}" for code, of in FEATURES),
        tuple(code for code, _ in FEATURES),
        np.array([value for value, _ in FEATURES.values()]),
        np.array([score for _, score in FEATURES.values()]),
    )


def attribution(note: NoteAttribution = note(), view: str = "CR//AP") -> Attribution:  # noqa: B008
    parts = [structured(), series(), note, replace(picture(), view=view)]
    total = sum(one.total for one in parts)
    return Attribution(
        SUBJECT, AT, TASK, "yes", "integrated_gradients", "zero",
        Completeness(value=total - 1.31, reference=-1.3, total=total, steps=57),
        {"structured": parts[0], "series": parts[1], "note": parts[2], "image": ImageAttribution((parts[3],))},
    )  # fmt: skip


def shapley() -> ModalityShapley:
    names, values = ("structured", "series", "note", "image"), np.array([0.182, 0.094, 0.061, 0.128])
    odds = np.array([0.9, 0.4, 0.3, 0.6])
    whole, nothing = 0.24 + float(values.sum()), 0.24
    return ModalityShapley(
        Output(TASK, "yes", 0),
        names,
        Shares(values, whole, nothing),
        Shares(odds, float(log_odds(np.array(whole))), float(log_odds(np.array(nothing)))),
    )


def similar() -> tuple[Similar, ...]:
    lactate = InCommon(name="LAB//lactate//mmol/L last", mine=4.2, theirs=3.9)
    crp = InCommon(name="LAB//crp//mg/L maximum", mine=181.0, theirs=204.0)
    rows = [(40163, 0.91, "yes", (lactate, crp)), (40089, 0.87, "yes", (lactate,)), (40002, 0.83, "no", (crp,)),
            (40141, 0.79, None, ())]  # fmt: skip
    return tuple(
        Similar(subject_id=subject, prediction_time=AT, likeness=likeness, shares=shares,
                outcomes=(Outcome(task=TASK, value=value),))
        for subject, likeness, value, shares in rows
    )  # fmt: skip


def evidence() -> Evidence:
    return Evidence(attribution(), {BLOB: image_file()}, NOTES)


def evidence_with_ecg() -> Evidence:
    """The evidence, with an ECG as well."""
    whole = attribution()
    return replace(
        evidence(), attribution=replace(whole, parts={**whole.parts, "waveform": WaveformAttribution((recording(),))})
    )


def explanation() -> Explanation:
    """The part of the attribution that an assessment keeps."""
    whole = attribution()
    pictures = (PictureRegions(blob=BLOB, view="CR//AP", width=picture().canvas.width, height=picture().canvas.height,
                               score=picture().total, sensitivity=0.5, regions=()),)  # fmt: skip
    return Explanation(
        output="yes",
        without_inputs=shapley().answer.nothing,
        modalities=tuple(ModalityShare(modality=name, share=share) for name, share in shapley().by_modality.items()),
        method=whole.method,
        baseline=whole.baseline,
        gap=whole.completeness.gap,
        features=tuple(
            FeatureScore(name=f"{code} {of}", code=code, value=None if np.isnan(value) else value, score=score)
            for (code, of), (value, score) in FEATURES.items()
        ),
        measurements=tuple(MeasurementScore(**one._asdict()) for one in series().measurements[-24:]),
        words=tuple(assess.WordScore(**one._asdict(), negates=one.negates) for one in note().words),
        pictures=pictures,
    )


def operating(positive: bool = True) -> Operating:
    return Operating(
        threshold=0.31,
        positive=positive,
        sensitivity=Estimate("sensitivity", 0.86, 0.78, 0.92, 214, "Wilson, 95 %"),
        ppv=Estimate("ppv", 0.47, 0.40, 0.55, 214, "Wilson, 95 %"),
        measured="held_out",
    )


def answer(**changes) -> Answer:
    estimate = OutputEstimate(output="yes", value=0.705, low=0.58, high=0.81, basis="refits", operating=operating())
    held = ConformalSet(
        output=None, level=0.9, answers=("yes",), everything=False, subjects=310, split="calibration",
        coverage_low=0.86, coverage_high=0.93,
    )  # fmt: skip
    kept = {
        "task": TASK,
        "kind": "binary",
        "question": "Will this patient deteriorate within seven days? Binary question, asked 48 hours after the first "
        "event, from what is known by then: every code except NOTE//impression. The answer is OUTCOME//deterioration.",
        "unit": None,
        "prediction_time": AT,
        "outputs": (estimate,),
        "sets": (held,),
        "explanation": explanation(),
    }
    return Answer(**(kept | changes))


def record(**changes) -> Record:
    kept = {
        "prediction_time": AT,
        "events": 214,
        "digest": "0" * 32,
        "present": ("structured", "series", "note", "image"),
        "missing": (),
        "usually_there": (
            CodeShare(code="LAB//bicarbonate//mmol/L", share=0.83),
            CodeShare(code="LAB//pco2//kPa", share=0.71),
        ),
        "unknown": (CodeCount(code="LAB//ferritin//ug/L", events=2),),
        "typicality": Typicality(quantile=0.62, latent=0.62, structured=0.41, far=False, samples=1204),
        "similar": similar(),
    }
    return Record(**(kept | changes))


def assessment(answers=None, records=None, lacks=()) -> Assessment:
    return Assessment(
        subject_id=SUBJECT,
        at=None,
        records=records or (record(),),
        answers=answers or (answer(),),
        lacks=lacks,
        fingerprints=Fingerprints(bundle="9f" * 32, cohort="c4" * 32, polyclinic="0.1.0"),
    )


def abstaining() -> Assessment:
    """An assessment with missing inputs that abstains."""
    cost = Cost(
        missing=("note", "image"),
        figure="auroc",
        given=Estimate("auroc", 0.56, 0.47, 0.65, 300, "DeLong, 95 %"),
        whole=Estimate("auroc", 0.79, 0.73, 0.85, 300, "DeLong, 95 %"),
        difference=Difference(Estimate("auroc", -0.23, -0.31, -0.15, 300, "paired DeLong, 95 %"), 0.0001),
    )
    reasons = (
        Abstention(
            reason="unlike_development", text="The record is unlike those of development: beyond 99.5 % of 1,204."
        ),
        Abstention(
            reason="too_little",
            text="Only structured + series recorded; with no more than that the model was not shown to be better than "
            "chance (AUROC .560 [.470, .650]).",
        ),
    )
    one = answer(cost=cost, abstentions=reasons, sets=(), explanation=None)
    seen = record(
        present=("structured", "series"),
        missing=("note", "image"),
        similar=(),
        typicality=Typicality(quantile=0.997, latent=0.997, structured=0.9, far=True, samples=1204),
    )
    return assessment((one,), (seen,))
