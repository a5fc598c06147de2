"""Render a frontal chest radiograph of a given build with given findings."""

# The arithmetic of arrays is typed as Any.
# mypy: disable-error-code="no-any-return"

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from polyclinic.demo.phantom.anatomy import Build, Frame, draw_anatomy, draw_pose, lay_frame
from polyclinic.demo.phantom.detector import expose
from polyclinic.demo.phantom.fields import Field, blurred, enlarged
from polyclinic.demo.phantom.lesions import Box, Lesion, draw_lesions, heart_box
from polyclinic.demo.phantom.skeleton import draw_ribs, draw_shoulders, draw_spine
from polyclinic.demo.phantom.torso import AIR, Chest, Lungs, draw_heart, draw_lungs, draw_soft_tissue
from polyclinic.demo.phantom.vessels import draw_vessels


class Radiograph(NamedTuple):
    """An image, 0 black to 1 white, the boxes of its findings, and the lungs."""

    pixels: Field
    boxes: list[Box]
    lungs: Field  # depth of air without lesions, 0 to about 1


def render(seed: Sequence[int], build: Build, lesions: Sequence[Lesion] = (), shot: int = 0) -> Radiograph:
    """Render a radiograph; `seed` determines the chest, and `shot` the pose and grain.

    Images with and without lesions differ only by the lesions.
    """
    body_rng = np.random.default_rng([*seed, 0])
    pose_rng, exposure_rng = (np.random.default_rng([*seed, 1 + shot, part]) for part in range(2))
    large = [lesion for lesion in lesions if lesion.finding == "cardiomegaly"]
    anatomy = draw_anatomy(body_rng, build, large[0].extent if large else build.cardiothoracic_ratio)
    frame = lay_frame(pose_rng, anatomy, draw_pose(pose_rng, build.portable))
    coarse = Chest(frame.coarse, draw_lungs(frame.coarse))
    chest = Chest(frame, Lungs(*(enlarged(part, frame.shape) for part in coarse.lungs)))
    tissue = enlarged(draw_soft_tissue(*coarse) + draw_heart(*coarse) + _bones(body_rng, coarse.frame), frame.shape)
    drawn = draw_lesions([*seed, 1 + shot, 2], chest, coarse, [lesion for lesion in lesions if lesion not in large])
    vessels = draw_vessels(body_rng, frame) * chest.lungs.air * drawn.markings
    thickness = tissue + draw_ribs(body_rng, *chest) - AIR * chest.lungs.air + np.float32(0.25) * vessels
    boxes = drawn.boxes + [heart_box(frame, lesion) for lesion in large]
    return Radiograph(expose(exposure_rng, frame, blurred(thickness + drawn.change, 0.5)), boxes, chest.lungs.air)


def _bones(rng: np.random.Generator, frame: Frame) -> Field:
    """Render the bones with soft edges."""
    return draw_spine(frame) + draw_shoulders(rng, frame)
