"""Turn a DICOM image to canonical orientation, following DICOM PS3.3, C.7.6.1.1.1 and C.7.6.2.1.1.

A frontal radiograph has the patient's left on the right of the image (`L\\F`), a lateral one faces left (`P\\F`), and
an axial slice is seen from the feet (`L\\P`), as is conventional in radiology.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped
from pydicom import Dataset

from polyclinic.ingest.dicom.header import values

Pixels = Shaped[np.ndarray, "height width"]

_AXIS = {"R": 0, "L": 0, "A": 1, "P": 1, "H": 2, "F": 2}
_CANONICAL = {"L", "P", "F"}  # directions of increasing pixel index
_POSITIVE, _NEGATIVE = "LPH", "RAF"  # the ends of the axes of the patient's coordinates (LPS)
_PLANES = {frozenset({0, 1}): "AXIAL", frozenset({0, 2}): "CORONAL", frozenset({1, 2}): "SAGITTAL"}


def directions(header: Dataset) -> tuple[str, str] | None:
    """Return the patient directions of the rows and of the columns, such as `("L", "F")`.

    From PatientOrientation, or the nearest axes of ImageOrientationPatient; None if neither is valid.
    """
    stated = [str(part)[:1] for part in values(header, "PatientOrientation")]
    if len(stated) == 2 and all(letter in _AXIS for letter in stated):
        return _if_apart(stated[0], stated[1])
    return _of_slice(header)


def _of_slice(header: Dataset) -> tuple[str, str] | None:
    cosines = values(header, "ImageOrientationPatient")
    return _if_apart(_nearest(cosines[:3]), _nearest(cosines[3:])) if len(cosines) == 6 else None


def _if_apart(row: str, column: str) -> tuple[str, str] | None:
    return (row, column) if _AXIS[row] != _AXIS[column] else None


def _nearest(cosines: Sequence[float]) -> str:
    axis = int(np.argmax(np.abs(cosines)))
    return (_POSITIVE if cosines[axis] >= 0 else _NEGATIVE)[axis]


def plane(header: Dataset) -> str | None:
    """Return the plane nearest to a slice (`AXIAL`, `CORONAL`, `SAGITTAL`), or None if it has no orientation."""
    letters = _of_slice(header)
    return _PLANES[frozenset(_AXIS[letter] for letter in letters)] if letters else None


def canonical(pixels: Pixels, letters: tuple[str, str] | None) -> Pixels:
    """Transpose and flip `pixels`, whose directions are `letters`, to canonical orientation; None leaves them."""
    if letters is None:
        return pixels
    row, column = letters
    if _AXIS[row] > _AXIS[column]:
        pixels, row, column = pixels.T, column, row
    if row not in _CANONICAL:
        pixels = pixels[:, ::-1]
    return pixels if column in _CANONICAL else pixels[::-1]
