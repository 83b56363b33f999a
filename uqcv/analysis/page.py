"""A report as one HTML file that needs no network: tables, and figures inside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from uqcv.files import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOOK = """
body { font-family: sans-serif; font-size: 15px; max-width: 1200px; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px; display: block; overflow-x: auto }
th, td { padding: 4px 10px; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
th { border-bottom: 2px solid #888 }
img { max-width: 100% }
figcaption, .note { color: #555; font-size: 13px }
pre { background: #f4f4f4; padding: 1em; overflow-x: auto; font-size: 12px }
"""


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes
    ----------
    title
        Heading.
    content
        HTML, from the functions below.
    """

    title: str
    content: str


def write_page(path: Path, title: str, sections: Sequence[Section]) -> Path:
    """Write a page and return its path."""
    body = "\n".join(f"<h2>{escape(section.title)}</h2>\n{section.content}" for section in sections)
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{LOOK}</style>'
    write_text(
        path, f"<!doctype html>\n<html><head>{head}</head><body><h1>{escape(title)}</h1>\n{body}</body></html>\n"
    )
    return path


def paragraph(text: str) -> str:
    """Return a note."""
    return f'<p class="note">{escape(text)}</p>'


def preformatted(text: str) -> str:
    """Return text as it is."""
    return f"<pre>{escape(text)}</pre>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    lines = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    return f"<table><tr>{head}</tr>\n" + "\n".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def drawn(figure: Figure, caption: str) -> str:
    """Return a figure with its caption, as a PNG inside the page."""
    memory = io.BytesIO()
    figure.savefig(memory, format="png")
    return picture(memory.getvalue(), caption)


def picture(png: bytes, caption: str) -> str:
    """Return a PNG with its caption, inside the page."""
    data = base64.b64encode(png).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
