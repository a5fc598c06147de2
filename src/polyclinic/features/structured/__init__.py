"""Structured data: demographics, codes, and summaries of measurements as columns."""
