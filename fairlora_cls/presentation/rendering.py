"""A document as HTML and as Markdown, by the templates beside this file."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from fairlora_cls.presentation.document import Document
from fairlora_cls.presentation.style import STYLE

if TYPE_CHECKING:
    from jinja2 import Environment


def render_page(document: Document) -> str:
    """One HTML file that needs nothing else: no script, font or image from outside."""
    return _environment("html").get_template("page.html.jinja").render(d=document, style=STYLE)


def render_markdown(document: Document) -> str:
    """The same content without what needs a browser; figures are linked from figures/."""
    text = _environment("md").get_template("page.md.jinja").render(d=document)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def markdown_text(text: str) -> str:
    """One line of text in which no character starts markup."""
    text = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    text = re.sub(r"([\\`*_\[\]|$~#])", r"\\\1", text)
    text = re.sub(r"^(\d*)([-+=.)])(?=\s|$)", r"\1\\\2", text)  # a list, or an underline
    return re.sub(r"^>", "&gt;", text)  # a quotation


@lru_cache
def _environment(form: str) -> Environment:
    """Jinja's, in which whatever a template shows is escaped for `form`, html or md."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def escaped(value: object) -> Markup:
        return value if isinstance(value, Markup) else Markup(markdown_text(value))

    return Environment(
        loader=PackageLoader("fairlora_cls.presentation"),
        autoescape=True,
        finalize=escaped if form == "md" else None,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
