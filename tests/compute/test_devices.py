"""The choice of a device, and what is computed on it."""

import pytest
import torch

from polyclinic.compute.devices import DEVICES, DeviceError, chosen_device
from polyclinic.compute.resources import Resources
from polyclinic.features.cache.encoder_cache import EncoderCache, Encoding
from polyclinic.training.fit import fit_study
from tests.hospital import STUDY, files_of


def test_a_device_is_chosen_by_name():
    assert chosen_device("cpu") == "cpu"
    assert chosen_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(DeviceError, match=f"unknown device 'gpu': choose from {', '.join(DEVICES)}"):
        chosen_device("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_here_is_refused():
    with pytest.raises(DeviceError, match=r"cuda is not available here.*: choose auto or cpu"):
        chosen_device("cuda")


def test_one_process_computes_on_a_device_other_than_the_cpu():
    assert Resources(jobs=4, device="cuda").of_networks().jobs == 1
    assert Resources(jobs=4).of_networks().jobs == 4


def test_encodings_of_different_kinds_of_device_do_not_mix(tmp_path):
    by_cpu, by_gpu = (Encoding("net", "ab" * 32, "v1", (1,), device=device) for device in ("cpu", "cuda"))
    assert by_cpu.name == "net-abababababababab-v1-1-float16", "as before there were others"
    assert EncoderCache(tmp_path).shelf(by_cpu).folder != EncoderCache(tmp_path).shelf(by_gpu).folder


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU")
def test_a_fit_on_a_gpu_is_repeated_to_the_bit(hospital, tmp_path):
    found = []
    for jobs in (1, 2):
        cache = EncoderCache(tmp_path / f"cache{jobs}")
        bundle = fit_study(STUDY, hospital, cache=cache, resources=Resources(jobs, "cuda")).bundle
        found.append(files_of(bundle.save(tmp_path / f"bundle{jobs}"))["model.safetensors"])
    assert found[0] == found[1]
