import subprocess
import sys

import pytest

import polyclinic.features
from polyclinic.features.known_record import known_record
from polyclinic.tasks import Task
from tests.features.records import events, samples_of

ROWS = [
    (1, None, "DEMOGRAPHIC//sex", "female"),
    (1, 48, "LAB//a", 1.0),
    (1, 48.1, "LAB//a", 2.0),
    (1, 3, "NOTE//impression", "Normal."),
    (1, 3, "OUTCOME//died", 1.0),
    (2, 3, "LAB//a", 3.0),
    (3, 3, "LAB//a", 4.0),
]


NO_NOTES = Task.model_validate(
    {
        "name": "no_notes",
        "kind": "binary",
        "description": "Will this patient die?",
        "prediction": {"anchor": "origin", "offset": "48h"},
        "target": {"codes": "OUTCOME//died"},
        "inputs": {"exclude": "NOTE//*"},
    }
)


def test_known_record_excludes_other_codes_and_later_events():
    known = known_record(events(ROWS).lazy(), samples_of([2, 1]), [NO_NOTES])
    assert known.select("sample", "code", "numeric_value").rows() == [
        (100, "LAB//a", 3.0),
        (101, "DEMOGRAPHIC//sex", None),
        (101, "LAB//a", 1.0),
    ]


@pytest.mark.slow
def test_importing_the_package_does_not_import_torch():
    program = (
        "import sys, polyclinic.features as features; features.StructuredFeaturizer, features.SeriesFeaturizer;"
        "print([name for name in ('torch', 'sklearn', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_name_raises_attribute_error():
    with pytest.raises(AttributeError, match="GenomeFeaturizer"):
        polyclinic.features.GenomeFeaturizer  # noqa: B018


@pytest.mark.parametrize("name", polyclinic.features.__all__)
def test_every_exported_name_exists(name):
    assert getattr(polyclinic.features, name) is not None
