"""Render phantoms of chest radiographs, with known positions of lesions."""

from polyclinic.demo.phantom.anatomy import Build
from polyclinic.demo.phantom.lesions import Box, Lesion
from polyclinic.demo.phantom.radiograph import Radiograph, render

__all__ = ["Box", "Build", "Lesion", "Radiograph", "render"]
