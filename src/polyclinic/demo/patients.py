"""The clinical model that generates the patients of the demo cohort. All other modules only observe them.

    people → illness (condition, findings, physiology, history) → care (severity, treatment, recorded data) → outcomes

The signal for the main task, deterioration within seven days after hour 48, is split between modalities: lung loss is
only in the radiograph, history only in the indication, the trend only in the vital signs, and perfusion and renal
function only in the blood tests. `CAUSES` lists all causes, with their coefficients.

Patients are drawn in complete blocks of `BLOCK`, so that patient i does not depend on the number of patients.
"""

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray

BLOCK = 256
FIRST_PATIENT = 100_001
EPOCH = np.datetime64("2014-01-01T00:00", "us")
YEARS = 9  # over which admissions are spread

CONDITIONS = ("pneumonia", "heart_failure", "pneumothorax", "copd_exacerbation", "sepsis", "lung_cancer")
FINDINGS = ("effusion", "consolidation", "nodule", "cardiomegaly", "pneumothorax")
MODALITIES = ("structured", "series", "note", "image")
HISTORIES = ("immunosuppressed", "aspirated", "frail")

OBSERVED_HOURS = 48.0
FIRST_OUTCOME_HOUR = 54.0  # after the observed hours, even if these are counted from a late first event
HORIZON_HOURS = 7 * 24.0
LARGE_HEART = 0.53  # cardiothoracic ratio that defines cardiomegaly

Numbers = Float64[np.ndarray, " patient"]
Integers = Int64[np.ndarray, " patient"]
Flags = Bool[np.ndarray, " patient"]
Rng = np.random.Generator


class Cause(NamedTuple):
    """One cause of deterioration: its log-odds per unit, and the only modality that shows it."""

    variable: str
    modality: str
    log_odds: float
    evidence: tuple[str, ...]  # codes, concepts of trigger words, or findings with boxes


CAUSES = (
    Cause("consolidation_extent", "image", 6.3, ("consolidation",)),
    Cause("pneumothorax_extent", "image", 7.2, ("pneumothorax",)),
    Cause("immunosuppressed", "note", 2.4, ("immunosuppressed",)),
    Cause("aspirated", "note", 2.1, ("aspirated",)),
    Cause("frail", "note", 2.4, ("frail",)),
    Cause("course", "series", 1.45, ("VITAL//respiratory_rate//bpm", "VITAL//spo2//%", "VITAL//heart_rate//bpm")),
    Cause("perfusion", "structured", 1.5, ("LAB//lactate//mmol/L", "LAB//bicarbonate//mmol/L")),
    Cause("renal", "structured", 1.0, ("LAB//creatinine//umol/L", "LAB//urea//mmol/L", "LAB//potassium//mmol/L")),
    Cause("age_decades", "structured", 0.45, ("DEMOGRAPHIC//age//years",)),
    Cause("treatment_effect", "structured", 1.0, ("MEDICATION//hydrocortisone//mg",)),
)
INTERCEPT = -5.6

# Probability of each finding (columns) given the condition (rows).
_FINDING_GIVEN_CONDITION = np.array(
    [
        # effusion, consolidation, nodule, cardiomegaly, pneumothorax
        (0.30, 0.88, 0.07, 0.12, 0.08),  # pneumonia
        (0.65, 0.18, 0.06, 0.80, 0.06),  # heart failure
        (0.12, 0.14, 0.08, 0.08, 0.97),  # pneumothorax
        (0.10, 0.22, 0.14, 0.12, 0.20),  # COPD exacerbation
        (0.20, 0.38, 0.07, 0.15, 0.08),  # sepsis
        (0.38, 0.22, 0.93, 0.10, 0.12),  # lung cancer
    ]
)


@dataclass(frozen=True)
class People:
    """Demographics and comorbidities."""

    patient: Integers
    admitted: NDArray[np.datetime64]
    age: Numbers  # years
    female: Flags
    height_cm: Numbers
    weight_kg: Numbers
    diabetes: Flags
    hypertension: Flags
    kidney_disease: Flags
    copd: Flags
    heart_failure: Flags
    coronary_disease: Flags
    atrial_fibrillation: Flags

    @property
    def bmi(self) -> Numbers:
        """Body mass index, kg/m²."""
        return self.weight_kg / (self.height_cm / 100) ** 2

    @property
    def age_decades(self) -> Numbers:
        """Decades of age above 65 years."""
        return (self.age - 65) / 10


@dataclass(frozen=True)
class Illness:
    """The acute illness. Extents are shares of a lung, 0 if absent; sides are −1 right, 1 left, 0 both."""

    condition: Integers  # index into CONDITIONS
    effusion_extent: Numbers
    effusion_side: Integers
    consolidation_extent: Numbers
    consolidation_side: Integers
    consolidation_height: Numbers  # 0 apex to 1 base
    consolidation_depth: Numbers  # 0 midline to 1 chest wall
    nodule_mm: Numbers  # diameter, 0 none
    nodule_side: Integers
    nodule_height: Numbers
    nodule_depth: Numbers
    cardiothoracic_ratio: Numbers
    pneumothorax_extent: Numbers
    pneumothorax_side: Integers
    inflammation: Numbers  # standard score, as are the next three
    perfusion: Numbers  # circulatory failure
    renal: Numbers  # renal failure
    course: Numbers  # of breathing over the first 48 h; positive is deterioration
    ischaemia: Flags
    immunosuppressed: Flags
    aspirated: Flags
    frail: Flags

    def found(self, finding: str) -> Flags:
        """Return who has one of the `FINDINGS`."""
        size, least = {"cardiomegaly": ("cardiothoracic_ratio", LARGE_HEART), "nodule": ("nodule_mm", 0)}.get(
            finding, (f"{finding}_extent", 0)
        )
        found: Flags = getattr(self, size) > least
        return found

    def has(self, condition: str) -> Flags:
        """Return whose main condition is `condition`, one of the `CONDITIONS`."""
        present: Flags = self.condition == CONDITIONS.index(condition)
        return present


@dataclass(frozen=True)
class Care:
    """Apparent severity, treatment, and which data were recorded."""

    severity: Numbers  # as assessed from age and blood, with noise that causes nothing else
    propensity: Numbers  # probability of treatment
    treated: Flags
    treated_hour: Numbers
    has_structured: Flags
    has_series: Flags
    has_note: Flags
    has_image: Flags
    has_ecg: Flags
    portable: Flags
    second_film: Flags
    film_hour: Numbers
    second_film_hour: Numbers


@dataclass(frozen=True)
class Outcomes:
    """Observed and potential outcomes, with and without treatment."""

    effect: Numbers  # of treatment on the log-odds of deterioration
    risk_untreated: Numbers
    risk_treated: Numbers
    deteriorates_untreated: Flags
    deteriorates_treated: Flags
    deteriorated: Flags
    known: Flags  # whether deterioration was observed
    deterioration_hour: Numbers  # of the event, or of the review without one
    stay_untreated: Numbers  # days
    stay_treated: Numbers
    stay_days: Numbers
    death_hour: Numbers  # without censoring
    follow_up_hour: Numbers  # end of follow-up
    died: Flags  # within follow-up


@dataclass(frozen=True)
class Patients:
    """One block of patients."""

    people: People
    illness: Illness
    care: Care
    outcomes: Outcomes

    def __len__(self) -> int:
        return len(self.people.patient)

    def causes(self) -> dict[str, Numbers]:
        """Return the values of `CAUSES` by variable."""
        known: dict[str, Any] = {f.name: getattr(self.illness, f.name) for f in fields(self.illness)}
        known |= {"age_decades": self.people.age_decades, "treatment_effect": self.outcomes.effect * self.care.treated}
        return {cause.variable: known[cause.variable].astype(np.float64) for cause in CAUSES}

    def frame(self) -> pl.DataFrame:
        """Return all variables as one table: the truth."""
        columns: dict[str, Any] = {}
        for part in (self.people, self.illness, self.care, self.outcomes):
            columns |= {f.name: getattr(part, f.name) for f in fields(part)}
        columns["condition"] = np.array(CONDITIONS)[self.illness.condition]
        columns |= {f"has_{finding}": self.illness.found(finding) for finding in FINDINGS}
        columns |= {name: values for name, values in self.causes().items() if name not in columns}
        return pl.DataFrame(columns)


def draw_patients(seed: int, block: int) -> Patients:
    """Draw one block: the patients from `FIRST_PATIENT` + `block` × `BLOCK` on."""
    rngs = [np.random.default_rng([seed, block, part]) for part in range(4)]
    people = _draw_people(rngs[0], FIRST_PATIENT + block * BLOCK)
    illness = _draw_illness(rngs[1], people)
    care = _draw_care(rngs[2], people, illness)
    return Patients(people, illness, care, _draw_outcomes(rngs[3], people, illness, care))


def sigmoid(log_odds: NDArray[np.float64]) -> Numbers:
    """Convert log-odds to probabilities."""
    return 1 / (1 + np.exp(-log_odds))


def log_odds(causes: dict[str, Numbers], modalities: tuple[str, ...] = MODALITIES) -> Numbers:
    """Return the log-odds of deterioration from the causes in some modalities, without the intercept."""
    terms = [cause.log_odds * causes[cause.variable] for cause in CAUSES if cause.modality in modalities]
    total: Numbers = np.sum(terms, axis=0)
    return total


def _draw_people(rng: Rng, first: int) -> People:
    age = np.clip(64 + 16 * rng.standard_normal(BLOCK), 18, 97)
    female = rng.random(BLOCK) < 0.47
    height = np.where(female, 163, 176) + 7 * rng.standard_normal(BLOCK)
    bmi = np.clip(26.5 + 4.8 * rng.standard_normal(BLOCK), 16, 48)
    old = (age - 65) / 10

    def chronic(at_65: float, per_decade: float) -> Flags:
        return rng.random(BLOCK) < sigmoid(np.log(at_65 / (1 - at_65)) + per_decade * old)

    return People(
        patient=np.arange(first, first + BLOCK),
        admitted=EPOCH + rng.integers(0, YEARS * 365 * 24 * 60, BLOCK).astype("timedelta64[m]"),
        age=np.round(age),
        female=female,
        height_cm=np.round(height),
        weight_kg=np.round(bmi * (height / 100) ** 2, 1),
        diabetes=chronic(0.24, 0.25) | (bmi > 38),
        hypertension=chronic(0.50, 0.55),
        kidney_disease=chronic(0.13, 0.55),
        copd=chronic(0.18, 0.30),
        heart_failure=chronic(0.14, 0.55),
        coronary_disease=chronic(0.18, 0.45),
        atrial_fibrillation=chronic(0.11, 0.70),
    )


def _draw_illness(rng: Rng, people: People) -> Illness:
    old = people.age_decades
    weights = np.log([0.25, 0.15, 0.16, 0.07, 0.16, 0.13])[None, :] + rng.gumbel(size=(BLOCK, len(CONDITIONS)))
    weights += np.stack([0 * old, 0.25 * old, -0.35 * old, 0 * old, 0 * old, 0.15 * old], axis=1)
    weights[:, 1] += 1.3 * people.heart_failure
    weights[:, 3] += 1.9 * people.copd
    condition = weights.argmax(axis=1)
    found = rng.random((BLOCK, len(FINDINGS))) < _FINDING_GIVEN_CONDITION[condition]
    effusion, consolidation, nodule, cardiomegaly, pneumothorax = found.T
    infected = np.isin(condition, [CONDITIONS.index("pneumonia"), CONDITIONS.index("sepsis")])
    septic = condition == CONDITIONS.index("sepsis")
    consolidated = consolidation * (0.08 + 0.70 * rng.beta(0.8, 1.1, BLOCK))
    collapsed = pneumothorax * (0.12 + 0.75 * rng.beta(0.8, 1.1, BLOCK))
    consolidation_side = rng.choice([-1, 1, 0], BLOCK, p=[0.45, 0.40, 0.15])
    free_side = np.where(consolidation & (consolidation_side != 0), -consolidation_side, rng.choice([-1, 1], BLOCK))
    z = rng.standard_normal((5, BLOCK))
    perfusion = 0.95 * z[2] + 0.6 * septic - 0.1
    return Illness(
        condition=condition,
        effusion_extent=effusion * (0.18 + 0.45 * rng.beta(1.2, 1.5, BLOCK)),
        effusion_side=rng.choice([-1, 1, 0], BLOCK, p=[0.3, 0.3, 0.4]),
        consolidation_extent=consolidated,
        consolidation_side=consolidation_side,
        consolidation_height=rng.beta(1.6, 1.6, BLOCK),
        consolidation_depth=rng.uniform(0.30, 0.75, BLOCK),
        nodule_mm=nodule * np.round(14 + 24 * rng.beta(1.3, 2.0, BLOCK)),
        nodule_side=rng.choice([-1, 1], BLOCK),
        nodule_height=rng.uniform(0.12, 0.75, BLOCK),
        nodule_depth=rng.uniform(0.35, 0.75, BLOCK),
        cardiothoracic_ratio=np.where(
            cardiomegaly, 0.565 + 0.12 * rng.beta(1.5, 2, BLOCK), np.minimum(0.455 + 0.018 * z[0], 0.51)
        ),
        pneumothorax_extent=collapsed,
        pneumothorax_side=free_side,
        inflammation=0.85 * z[1] + 1.2 * infected - 0.5,
        perfusion=perfusion,
        renal=0.90 * z[3] + 0.9 * people.kidney_disease - 0.14,
        course=0.9 * z[4] + 0.25 * perfusion + 0.6 * (consolidated + collapsed - 0.27),
        ischaemia=rng.random(BLOCK) < np.where(people.coronary_disease, 0.30, 0.05),
        immunosuppressed=rng.random(BLOCK) < 0.30,
        aspirated=rng.random(BLOCK) < 0.27,
        frail=rng.random(BLOCK) < sigmoid(-0.95 + 0.25 * old),
    )


def _draw_care(rng: Rng, people: People, illness: Illness) -> Care:
    old, z = people.age_decades, rng.standard_normal(BLOCK)
    severity = 0.6 * illness.perfusion + 0.4 * illness.renal + 0.4 * illness.inflammation + 0.6 * z
    propensity = np.clip(sigmoid(-0.2 + 1.1 * illness.perfusion + 0.5 * illness.inflammation + 0.3 * old), 0.05, 0.95)
    structured, series, note, image = _draw_modalities(rng, severity)
    return Care(
        severity=severity,
        propensity=propensity,
        treated=rng.random(BLOCK) < propensity,
        treated_hour=rng.uniform(3, 12, BLOCK),
        has_structured=structured,
        has_series=series,
        has_note=note,
        has_image=image,
        has_ecg=rng.random(BLOCK) < sigmoid(0.9 + 0.4 * severity),
        portable=rng.random(BLOCK) < sigmoid(-1.1 + 0.8 * severity),
        second_film=rng.random(BLOCK) < sigmoid(-1.6 + 0.5 * severity),
        film_hour=rng.uniform(0.7, 3.5, BLOCK),
        second_film_hour=rng.uniform(16, 44, BLOCK),
    )


def _draw_modalities(rng: Rng, severity: Numbers) -> tuple[Flags, Flags, Flags, Flags]:
    """Draw who has which modality. The less ill lack modalities more often, usually one, sometimes two or three."""
    incomplete = rng.random(BLOCK) < sigmoid(-0.40 - 0.35 * severity)
    missing = np.where(incomplete, rng.choice([1, 2, 3], BLOCK, p=[0.58, 0.28, 0.14]), 0)
    rank = rng.random((BLOCK, len(MODALITIES))).argsort(axis=1).argsort(axis=1)
    structured, series, note, image = (rank >= missing[:, None]).T
    return structured, series, note, image


def _draw_outcomes(rng: Rng, people: People, illness: Illness, care: Care) -> Outcomes:
    effect = -(0.9 + 0.8 * illness.inflammation - 0.8 * people.diabetes)
    untreated = INTERCEPT + _log_odds_without_treatment(people, illness)
    risks = [sigmoid(untreated), sigmoid(untreated + effect)]
    uniform = rng.random(BLOCK)
    potential = [uniform < risk for risk in risks]
    deteriorated = np.where(care.treated, potential[1], potential[0])
    early = FIRST_OUTCOME_HOUR + (HORIZON_HOURS - 14) * rng.beta(1.0, 2.0, BLOCK)
    review = OBSERVED_HOURS + HORIZON_HOURS - 24 + rng.uniform(2, 20, BLOCK)
    days = np.log(4.5) + 0.10 * untreated + 0.25 * people.copd + 0.30 * rng.standard_normal(BLOCK)
    stays = [np.round(FIRST_OUTCOME_HOUR / 24 + np.exp(days + shift), 2) for shift in (0, 0.25 * effect)]
    final = untreated + effect * care.treated
    hazard = np.exp(-7.3 + 0.32 * final + 0.35 * people.age_decades + 0.9 * illness.has("lung_cancer"))  # per day
    event = np.where(deteriorated, early, review)
    death = event + 24 * rng.exponential(1, BLOCK) / hazard
    stay = np.where(care.treated, stays[1], stays[0])
    follow_up = np.maximum(event, 24 * stay) + 24 * np.minimum(365, rng.exponential(500, BLOCK))
    return Outcomes(
        effect=effect,
        risk_untreated=risks[0],
        risk_treated=risks[1],
        deteriorates_untreated=potential[0],
        deteriorates_treated=potential[1],
        deteriorated=deteriorated,
        known=rng.random(BLOCK) < 0.98,
        deterioration_hour=event,
        stay_untreated=stays[0],
        stay_treated=stays[1],
        stay_days=stay,
        death_hour=death,
        follow_up_hour=follow_up,
        died=death <= follow_up,
    )


def _log_odds_without_treatment(people: People, illness: Illness) -> Numbers:
    known = {**vars(illness), "age_decades": people.age_decades, "treatment_effect": np.zeros(BLOCK)}
    return log_odds({cause.variable: known[cause.variable].astype(np.float64) for cause in CAUSES})
