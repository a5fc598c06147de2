"""Devices on which networks compute.

Results are equal to the bit on one kind of device, not between kinds.
"""

from __future__ import annotations

CPU = "cpu"
DEVICES = ("auto", CPU, "cuda", "mps")


class DeviceError(ValueError):
    """There is no such device."""


def chosen_device(name: str) -> str:
    """Return the device of a name in `DEVICES`; auto is an NVIDIA GPU if there is one, otherwise the CPU.

    Raises:
        DeviceError: the name is unknown, or the machine or the installed build of PyTorch lacks the device.
    """
    if name not in DEVICES:
        raise DeviceError(f"unknown device {name!r}: choose from {', '.join(DEVICES)}")
    if name == CPU:
        return CPU
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return "cuda" if available["cuda"] else CPU
    if not available[name]:
        raise DeviceError(f"{name} is not available here, or not in this build of PyTorch: choose auto or {CPU}")
    return name
