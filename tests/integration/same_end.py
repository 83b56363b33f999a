"""Whether two runs of a campaign came to the same end: all files, byte for byte, but for what clocks say."""

import json
import re
from pathlib import Path

Files = dict[str, bytes | None]  # path in a folder -> content; None for a folder


def read_files(folder: Path) -> Files:
    """Return all that lies in a folder."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in [folder, *sorted(folder.rglob("*"))]
    }


def without_times(name: str, content: bytes | None) -> object:
    """Return what must be the same in all runs of a campaign: all but wall times and the time of day."""
    if content is None or not name.endswith(("seconds.json", "end.json", "plumed.log", ".dcd")):
        return content
    if name.endswith("seconds.json"):
        return sorted(json.loads(content))
    if name.endswith("end.json"):
        return json.loads(content) | {"seconds": None}
    if name.endswith("plumed.log"):
        return [line for line in content.splitlines() if not re.search(rb"\d\.\d{6}", line)]
    return content[:100] + content[260:]  # between them, a title says when the file was made


def differences(found: Files, expected: Files) -> list[str]:
    """Return the files that differ, or are missing in one of both."""
    common = found.keys() & expected.keys()
    unlike = {name for name in common if without_times(name, found[name]) != without_times(name, expected[name])}
    return sorted(unlike | (found.keys() ^ expected.keys()))
