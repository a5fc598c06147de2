import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.features.waveform.leads import LEADS, derive_limb_leads, standard_lead

SYNONYMS = {
    "II": ("II", "ii", "MLII", "ML II", "D2", "DII", "Lead II", "ECG lead II", "MDC_ECG_LEAD_II", "ECG II", "2"),
    "aVR": ("AVR", "avr", "aVR", "Lead aVR", "MDC_ECG_LEAD_AVR"),
    "V5": ("V5", "v5", "ECG V5", "lead_V5"),
}


@pytest.mark.parametrize(("lead", "name"), [(lead, name) for lead, names in SYNONYMS.items() for name in names])
def test_synonyms_name_the_standard_lead(lead, name):
    found = standard_lead(name)
    assert found is not None
    assert (LEADS[found.place], found.sign) == (lead, 1)


def test_an_inverted_lead_has_its_sign():
    assert standard_lead("-aVR") == (LEADS.index("aVR"), -1)


@pytest.mark.parametrize(
    "name", ["", "-", "vx", "V7", "V10", "IIII", "MLV1x", "ABP", "RESP", "ECG", "lead", "signal 1"]
)
def test_other_signals_have_no_lead(name):
    assert standard_lead(name) is None


def twelve(limb_i, limb_ii):
    chest = np.zeros((6, len(limb_i)))
    limb = [limb_i, limb_ii, limb_ii - limb_i, -(limb_i + limb_ii) / 2, limb_i - limb_ii / 2, limb_ii - limb_i / 2]
    return np.concatenate([limb, chest])


@given(st.sets(st.integers(0, 5), min_size=2), st.integers(0, 1000))
def test_any_two_limb_leads_give_the_others(kept, seed):
    whole = twelve(*np.random.default_rng(seed).standard_normal((2, 20)))
    signal, valid = whole.copy(), np.zeros(whole.shape, dtype=bool)
    valid[sorted(kept)] = True
    signal[~valid] = np.nan
    derive_limb_leads(signal, valid)
    assert valid[:6].all()
    assert not valid[6:].any()
    np.testing.assert_allclose(signal[:6], whole[:6], atol=1e-12)


def test_a_derived_lead_is_valid_where_both_sources_are():
    signal = twelve(np.arange(4.0), np.ones(4))
    valid = np.zeros(signal.shape, dtype=bool)
    valid[0], valid[1] = [True, True, False, False], [True, False, True, False]
    derive_limb_leads(signal, valid)
    assert valid[2].tolist() == [True, False, False, False]
    assert signal[2].tolist() == [1, 0, 0, 0]


def test_one_limb_lead_gives_no_other():
    signal, valid = np.ones((12, 3)), np.zeros((12, 3), dtype=bool)
    valid[1] = valid[7] = True
    derive_limb_leads(signal, valid)
    assert np.flatnonzero(valid.any(axis=1)).tolist() == [1, 7]
