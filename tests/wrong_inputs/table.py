"""The table of wrong inputs: `python -m tests.wrong_inputs.table > docs/wrong_inputs.md`."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from .case import Case, try_case
from .good_files import make_good_files
from .registry import GROUPS

HEAD = """\
# Wrong inputs

What was tried, and what one sees. The rule: one clear line that says what was given, what is expected and what to do;
exit code 2; nothing is left half written. Every row is a test (`tests/wrong_inputs`): it runs the command in a folder
of good files of which one was spoilt, and compares what is left there with what was before. This file is written by

```
python -m tests.wrong_inputs.table > docs/wrong_inputs.md
```

and the tests compare it with what the commands say now, with the versions in `requirements.lock`.

**Nothing is unpickled.** Bundles, potentials and checkpoints are read by `torch.load(..., weights_only=True)`, which
makes tensors and plain values and calls nothing. A pickle is refused, whatever is in it. YAML is read without objects
of Python. Models of other programs are not read at all. Two things are code by their nature: the module that
`uqcv export` writes, because PLUMED imports one, and the calculator that a campaign names. Look at those of others.

**A disk that is full** is tried with a limit on the size of files. The system then says `File too large`; of a disk it
says `No space left on device`, and the rest of the line is the same. **Permissions** count in these tests for root too.
What a command says of its work before the line is not shown here, nor is the frame that is drawn around what is wrong
with options.
"""
COLUMNS = "| what is wrong | command | what one sees |\n|---|---|---|"
DECIMALS = re.compile(r"(\d+\.\d{3})\d{3}\b")  # the last ones are those of the processor
LONG_NAME = re.compile(r"x{20,}")
HASH = re.compile(r"\b(?=[a-f]*[0-9])[0-9a-f]{12}\b")  # of weights, whose last digits are those of the processor


def row(case: Case, seen: str) -> str:
    """Return a case as a line of the table."""
    cells = (case.wrong, f"`{LONG_NAME.sub('xxx...xxx', case.command)}`", seen)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def shown(lines: list[str]) -> str:
    """Return what is seen as one cell, as code."""
    text = LONG_NAME.sub("xxx...xxx", " ".join(lines)).replace("`", "'")
    text = DECIMALS.sub(r"\1...", HASH.sub("0123456789ab", text))
    return f"`{text}`"


def document(seen: dict[Case, str]) -> str:
    """Return the whole text, from what is seen of each case."""
    parts = [HEAD]
    for group, cases in GROUPS.items():
        parts.append("\n".join([f"## {group}", "", COLUMNS, *(row(case, seen[case]) for case in cases)]) + "\n")
    return "\n".join(parts)


def main() -> None:
    """Run all cases and print the document; what breaks the rule is named."""
    with tempfile.TemporaryDirectory() as scratch:
        good = Path(scratch).resolve() / "good"
        good.mkdir()
        make_good_files(good)
        seen = {}
        for k, case in enumerate(case for cases in GROUPS.values() for case in cases):
            result = try_case(case, good, good.parent / f"case-{k}")
            if result.flaw:
                print(f"{case.wrong}: {case.command}\n  {result.flaw}", file=sys.stderr)
            seen[case] = shown(result.lines)
    print(document(seen), end="")


if __name__ == "__main__":
    main()
