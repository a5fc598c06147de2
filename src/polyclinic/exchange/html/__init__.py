"""An assessment as one HTML file that needs nothing else: no network, no scripts from elsewhere.

It is made for the screen, for paper, for readers of grey and of fewer colours, and for those who hear it.
"""

from polyclinic.exchange.html.evidence import Evidence, evidence_of
from polyclinic.exchange.html.page import assessment_page, write_assessment_page

__all__ = ["Evidence", "assessment_page", "evidence_of", "write_assessment_page"]
