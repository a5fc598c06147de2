"""The twelve standard leads of an electrocardiogram: their names, and the limb leads that follow from two others."""

import re
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

LIMB = np.array([(1, 0), (0, 1), (-1, 1), (-0.5, -0.5), (1, -0.5), (-0.5, 1)])
"""Each limb lead as a sum of I and II: the laws of Einthoven and Goldberger."""

_BY_NAME = {lead.upper(): place for place, lead in enumerate(LEADS)}
_PREFIX = re.compile(r"^(MDC[ _]ECG[ _]LEAD|ECG|EKG|LEAD|CHANNEL)[ _:.-]+(?=.)")
_ROMAN = {"1": "I", "2": "II", "3": "III"}


class NamedLead(NamedTuple):
    """A standard lead, and whether the source recorded it upside down."""

    place: int  # in LEADS
    sign: int  # 1, or -1 as in the Cabrera lead -aVR


def standard_lead(name: str) -> NamedLead | None:
    """Find the standard lead that a source's name means; None for any other signal.

    >>> standard_lead("MLII"), standard_lead("ECG lead V1"), standard_lead("-aVR"), standard_lead("vx")
    (NamedLead(place=1, sign=1), NamedLead(place=6, sign=1), NamedLead(place=3, sign=-1), None)
    """
    plain = name.strip().upper()
    while (shorter := _PREFIX.sub("", plain)) != plain:
        plain = shorter
    sign = -1 if plain.startswith("-") else 1
    plain = re.sub(r"[ _.]", "", plain.removeprefix("-"))
    if match := re.fullmatch(r"(?:ML|D)(I{1,3}|[123])|([123])", plain):  # monitor leads; I to III in digits
        plain = match[1] or match[2]
    plain = _ROMAN.get(plain, plain)
    return NamedLead(_BY_NAME[plain], sign) if plain in _BY_NAME else None


def derive_limb_leads(signal: Float[np.ndarray, "12 time"], valid: Bool[np.ndarray, "12 time"]) -> None:
    """Compute, in place, the limb leads that were not recorded from the first two that were.

    Any two limb leads determine the other four (III = II − I, aVR = −(I + II) / 2, ...). A derived lead is valid where
    both of its sources are.
    """
    recorded = [place for place in range(len(LIMB)) if valid[place].any()]
    missing = [place for place in range(len(LIMB)) if place not in recorded]
    if len(recorded) < 2 or not missing:
        return
    sources = recorded[:2]
    weights = LIMB[missing] @ np.linalg.inv(LIMB[sources])
    both = valid[sources].all(axis=0)
    signal[missing] = np.where(both, weights @ np.where(both, signal[sources], 0), 0)
    valid[missing] = both
