"""Phantoms of chest radiographs: drawn, not photographed, so that every lesion's place is known."""

from polyclinic.demo.phantom.anatomy import Build
from polyclinic.demo.phantom.lesions import Box, Lesion
from polyclinic.demo.phantom.radiograph import Radiograph, render

__all__ = ["Box", "Build", "Lesion", "Radiograph", "render"]
