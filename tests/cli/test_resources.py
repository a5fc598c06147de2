"""`--jobs` and `--device`: what is refused, and what gets a caution."""

import pytest
import torch
import typer

from polyclinic.cli.options import resources_of
from polyclinic.compute import ray_cluster
from polyclinic.compute.resources import usable_cores


def test_one_process_per_core_is_the_default(capsys):
    assert resources_of(None, "cpu").jobs == usable_cores()
    assert resources_of(1, "cpu").jobs == 1
    assert capsys.readouterr().err == ""


def test_more_processes_than_cores_get_a_caution(capsys):
    assert resources_of(999, "cpu").jobs == 999
    message = " ".join(capsys.readouterr().err.split())
    assert f"--jobs 999 is more than the usable cores ({usable_cores()})" in message


@pytest.mark.parametrize("device", ["gpu", "CUDA", ""])
def test_an_unknown_device_is_refused_with_the_choices(device):
    with pytest.raises(typer.BadParameter, match="choose from auto, cpu, cuda, mps") as refusal:
        resources_of(1, device)
    assert refusal.value.param_hint == "--device"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is an NVIDIA GPU")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(typer.BadParameter, match="cuda is not available here"):
        resources_of(1, "cuda")


@pytest.mark.parametrize("jobs", [0, -3])
def test_fewer_than_one_process_is_refused(jobs, polyclinic):
    assert "--jobs" in polyclinic("train", "cohort", "--jobs", jobs).usage


def test_models_are_fitted_here_unless_a_cluster_is_asked_for():
    assert resources_of(1, "cpu").on == "local"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--on", "cloud"), "unknown place 'cloud': choose from local, ray"),
        (("--ray-address", "auto"), "give --on ray as well"),
    ],
)
def test_a_place_that_is_not_known_is_refused(options, text, polyclinic, hospital):
    assert text in polyclinic("train", hospital.path, "--task", "demo_stay", *options).usage


def test_ray_is_refused_where_it_is_not_installed(polyclinic, hospital, monkeypatch):
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    refused = polyclinic("train", hospital.path, "--task", "demo_stay", "--on", "ray").usage
    assert "Ray is not installed: pip install 'polyclinic[ray]'" in refused


def test_ray_does_not_log_to_mlflow(polyclinic, hospital, monkeypatch):
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: name)
    words = ("train", hospital.path, "--task", "demo_stay", "--on", "ray", "--logger", "mlflow")
    assert "choose csv or tensorboard" in polyclinic(*words).usage
