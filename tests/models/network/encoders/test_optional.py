"""Encoders whose package comes with an extra: what happens without it."""

import subprocess
import sys

import pytest

from polyclinic import Study
from polyclinic.models.network.encoders.optional import import_optional
from polyclinic.study import Network, StudyError
from polyclinic.training.model_setup import check_network

PACKAGES = {"densenet121": "monai", "vit": "transformers"}
WITHOUT_THEM = """
import sys
sys.modules |= {"monai": None, "transformers": None, "sentence_transformers": None}
from polyclinic import Study
from polyclinic.features.backbones import BACKBONES
from polyclinic.models.network.encoders import ENCODERS
from polyclinic.study import Network
from polyclinic.training.model_setup import check_network
for modality, encoders in ENCODERS.items():
    for name in set(encoders) - {"densenet121", "vit"}:
        check_network(Study(tasks="demo_deterioration", inputs=(modality,), network=Network(encoders={modality: name})))
for backbone in BACKBONES.values():
    backbone.load()
"""


@pytest.mark.parametrize(("encoder", "package"), PACKAGES.items())
def test_a_missing_package_is_reported_with_its_extra(encoder, package, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    study = Study(tasks="demo_deterioration", inputs=("image",), network=Network(encoders={"image": encoder}))
    with pytest.raises(StudyError, match=rf"{encoder} needs {package}: pip install 'polyclinic\[{encoder}\]'"):
        check_network(study)


def test_an_error_inside_an_optional_package_is_raised_as_it_is():
    with pytest.raises(ModuleNotFoundError, match=r"json\.nothing"):
        import_optional("json.nothing", extra="vit")


@pytest.mark.slow
def test_all_other_encoders_and_both_backbones_need_no_extra():
    subprocess.run([sys.executable, "-c", WITHOUT_THEM], check=True)
