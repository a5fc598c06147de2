"""File names without patient information."""

from polyclinic.files import sha256


def opaque_name(seed: int, patient: int, what: str) -> str:
    """Return 16 hexadecimal digits that name a patient's file, determined by the arguments."""
    return sha256(f"{seed}/{patient}/{what}".encode())[:16]
