"""An assessment as one self-contained HTML file, for screen, print and screen readers."""

from polyclinic.exchange.html.evidence import Evidence, evidence_of
from polyclinic.exchange.html.page import assessment_page, write_assessment_page

__all__ = ["Evidence", "assessment_page", "evidence_of", "write_assessment_page"]
