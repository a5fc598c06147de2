"""Assessments as others read them: pages, documents, messages."""
