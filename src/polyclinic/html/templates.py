"""Templates of pages and their parts; the only module that imports Jinja2.

Templates lie beside the code that renders them and are named by their path within the package. Every value is escaped
unless it is `Markup`, as `render` and `trusted` return.
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["Markup", "content_hash", "render", "render_page", "resource", "trusted"]

STYLESHEET = "html/page.css"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("polyclinic", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def render(template: str, **context: object) -> Markup:
    """Render a template, such as "exchange/html/note.html".

    Raises:
        jinja2.UndefinedError: the template uses a variable that `context` lacks.
    """
    return trusted(_environment().get_template(template).render(context))


def render_page(template: str, **context: object) -> str:
    """Render a whole page, a template that extends "html/page.html", with the shared stylesheet."""
    stylesheet = resource(STYLESHEET)
    return str(render(template, stylesheet=stylesheet, style_hash=content_hash(stylesheet), **context))


@cache
def resource(path: str) -> Markup:
    """Return the text of a stylesheet or script of the package, to be inserted without escaping."""
    return trusted(files("polyclinic").joinpath(path).read_text(encoding="utf-8"))


def content_hash(text: str) -> str:
    """Return the hash that allows an inline style or script in a content security policy."""
    return f"sha256-{b64encode(sha256(text.encode('utf-8')).digest()).decode('ascii')}"


def trusted(text: str) -> Markup:
    """Mark text of our own making as HTML; never text of users, models or patients."""
    return Markup(text)  # noqa: S704
