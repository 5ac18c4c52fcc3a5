"""排版. Documents from templates: every text escaped, nothing drawn from outside, the same bytes for the same content.

What a document was set with is named in it: the version of its template and the digest of all templates.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from supervision.instruments import Paper, day_words, instant_words

TEMPLATES = Path(__file__).with_name("templates")

INSTRUMENT = "instrument/1"
"""The version of the template of instruments: raised whenever it says something else, or elsewhere."""


@cache
def _templates() -> Environment:
    loader = FileSystemLoader(TEMPLATES, encoding="utf-8")
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"day": day_words, "instant": instant_words}
    return made


@cache
def templates_digest() -> str:
    """Return the digest of all templates, as a document names it."""
    digest = hashlib.sha256()
    for path in sorted(TEMPLATES.iterdir()):
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return f"sha256:{digest.hexdigest()}"


def set_in(template: str, version: str, **said: Any) -> str:
    """Return a document: what is said, in a template."""
    return _templates().get_template(template).render(template=version, templates_digest=templates_digest(), **said)


def instrument(paper: Paper) -> str:
    """Return an instrument as HTML that shows and prints by itself."""
    return set_in("instrument.html", INSTRUMENT, paper=paper)
