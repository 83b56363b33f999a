"""The actions of a PLUMED input, as far as text alone can tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from uqcv.simulation.plumed_input import without_comments

# Words are parted by blanks, except within braces.
WORD = re.compile(r"(?:\{[^}]*\}|[^\s{])+")


@dataclass(frozen=True)
class Action:
    """One action.

    Attributes
    ----------
    name
        Such as METAD.
    label
        None if it has none of its own.
    words
        What stands behind `KEYWORD=`.
    flags
        Keywords that stand alone.
    """

    name: str
    label: str | None
    words: dict[str, str]
    flags: frozenset[str]

    @property
    def keywords(self) -> frozenset[str]:
        """All that it was given, label aside."""
        return self.flags | (self.words.keys() - {"LABEL"})

    @property
    def restarts(self) -> bool | None:
        """Whether it says of itself that it restarts; None if it says nothing."""
        if "RESTART" in self.words:
            return {"YES": True, "NO": False}.get(self.words["RESTART"])
        return True if self.name == "RESTART" and "NO" not in self.flags else None


def read_actions(text: str) -> list[Action]:
    """Return the actions of an input in their order, up to ENDPLUMED; files that it includes are not read."""
    return [action for action, _ in read_statements(text)]


def read_statements(text: str) -> Iterator[tuple[Action, str]]:
    """Yield each action of `read_actions` and its text, in one line and without comments."""
    for statement in _statements(text):
        action = _action(statement)
        if action.name == "ENDPLUMED":
            break
        yield action, statement


def with_included(text: str) -> str:
    """Return an input with the text of the files that it includes, as far as they are at hand, in their place."""
    if "INCLUDE" not in text:
        return text
    return "\n".join(_included(action) or statement for action, statement in read_statements(text)) + "\n"


def _included(action: Action) -> str | None:
    path = Path(action.words.get("FILE", "")) if action.name == "INCLUDE" else Path()
    return with_included(path.read_text(encoding="utf-8")) if path.is_file() else None


def _statements(text: str) -> Iterator[str]:
    """Yield each action in one line: it may go on from `...` at its end to a line that begins with `...`."""
    block: list[str] | None = None
    for line in map(str.strip, without_comments(text).splitlines()):
        if block is not None and line.startswith("..."):
            yield " ".join(block)
            block = None
        elif block is not None:
            block.append(line)
        elif line.endswith("..."):
            block = [line.removesuffix("...")]
        elif line:
            yield line


def _action(statement: str) -> Action:
    first, *rest = WORD.findall(statement)
    label = None
    if first.endswith(":") and rest:
        label, (first, *rest) = first[:-1], rest
    pairs = [word.partition("=") for word in rest]
    words = {key: value for key, equals, value in pairs if equals}
    flags = frozenset(key for key, equals, _ in pairs if not equals)
    return Action(first, label or words.get("LABEL"), words, flags)
