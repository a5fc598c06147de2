"""Names of files that tell nothing of the patient."""

from polyclinic.files import sha256


def opaque_name(seed: int, patient: int, what: str) -> str:
    """Name what is recorded of a patient: 16 hexadecimal digits, the same for the same seed."""
    return sha256(f"{seed}/{patient}/{what}".encode())[:16]
