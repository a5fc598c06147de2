"""HTML pages: templates with automatic escaping, and the stylesheet that all pages share."""

from polyclinic.html.templates import Markup, content_hash, render, render_page, resource, trusted

__all__ = ["Markup", "content_hash", "render", "render_page", "resource", "trusted"]
