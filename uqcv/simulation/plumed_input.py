"""PLUMED inputs: templates with fields, and the Python modules that an input will make PLUMED import."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template
from types import ModuleType
from typing import Any

import uqcv
from uqcv.errors import InputError, PlumedInputError
from uqcv.files import read_with

TEMPLATE_FOLDERS = (Path(uqcv.__file__).parent / "plumed_inputs", Path.cwd())
# An action ends with its line, or goes on from `...` to a line that begins with `...`.
PYCV_ACTION = re.compile(r"\bPYCVINTERFACE\b(?P<words>[^\n]*?(?:\.\.\.[^\n]*\n[\s\S]*?^\s*\.\.\.|$))", re.MULTILINE)


def find_template(name: str) -> Path:
    """Return the path of a template: a file of the user's, or one of ours by its name without `.dat`.

    Raises
    ------
    InputError
        If there is none; names those that there are.
    """
    path = Path(name)
    if path.is_file():
        return path
    own = TEMPLATE_FOLDERS[0] / f"{name}.dat"
    if own.is_file():
        return own
    known = ", ".join(sorted(p.stem for p in TEMPLATE_FOLDERS[0].glob("*.dat")))
    raise InputError(f"PLUMED template {name}: no such file, and not one of ours ({known})")


def fill_template(name: str, values: Mapping[str, Any]) -> str:
    """Return the text of a template with every `${field}` replaced.

    Raises
    ------
    InputError
        If a field has no value.
    """
    path = find_template(name)
    template = Template(path.read_text(encoding="utf-8"))
    try:
        return template.substitute({k: _text(v) for k, v in values.items()})
    except KeyError as error:
        raise InputError(f"{path}: no value for the field ${{{error.args[0]}}}; known: {', '.join(values)}") from error
    except ValueError as error:
        raise InputError(f"{path}: {error}; write $$ for a dollar sign") from error


def _text(value: Any) -> str:
    return format(value, ".10g") if isinstance(value, float) else str(value)


def read_plumed_input(path: Path) -> str:
    """Return the text of a PLUMED input.

    Raises
    ------
    InputError
        If it cannot be read, or there is no action in it.
    """
    text: str = read_with(path, lambda p: p.read_text(encoding="utf-8"), "a PLUMED input")
    if not without_comments(text).strip():
        raise InputError(f"{path}: no action is in it; give a PLUMED input")
    return text


def imported_modules(text: str) -> list[tuple[str, str, str]]:
    """Return (module, init, calculate) of each PYCVINTERFACE in a PLUMED input."""
    found = []
    for match in PYCV_ACTION.finditer(without_comments(text)):
        words = dict(re.findall(r"(\w+)=(\S+)", match["words"]))
        if "IMPORT" in words:
            names = (words.get("INIT", "plumedInit"), words.get("CALCULATE", "plumedCalculate"))
            found.append((words["IMPORT"], *names))
    return found


def without_comments(text: str) -> str:
    """Return an input without what follows `#` in its lines."""
    return "\n".join(line.split("#", 1)[0] for line in text.splitlines())


def without_remarks(text: str) -> str:
    """Return an input without comments, empty lines and needless blanks: inputs that mean the same are the same."""
    return "\n".join(words for line in without_comments(text).splitlines() if (words := " ".join(line.split())))


def uses_pycv(text: str) -> bool:
    """Whether an input needs the PyCV plugin."""
    return PYCV_ACTION.search(without_comments(text)) is not None


def loads_plugin(text: str) -> bool:
    """Whether an input loads a plugin itself."""
    return re.search(r"^\s*(LOAD\b.*PythonCV)", without_comments(text), re.MULTILINE) is not None


def import_modules(text: str, folder: Path | None = None) -> None:
    """Import every module that a PLUMED input will import, so that what is wrong shows as a Python error.

    PLUMED itself aborts the whole process when the import fails.

    Parameters
    ----------
    text
        The PLUMED input.
    folder
        Where exported CVs are; put on the module path.

    Raises
    ------
    PlumedInputError
        If a module cannot be imported or lacks what PLUMED will look for.
    """
    if folder is not None and str(Path(folder).resolve()) not in sys.path:
        sys.path.insert(0, str(Path(folder).resolve()))
        importlib.invalidate_caches()
    length = re.search(r"^\s*UNITS\b.*\bLENGTH=(\S+)", without_comments(text), re.MULTILINE)
    for name, *attributes in imported_modules(text):
        try:
            module = _import_module(name, folder)
        except ImportError as error:
            raise PlumedInputError(
                f"IMPORT={name}: {error}; give the folder that `uqcv export` wrote, or check the module's name"
            ) from error
        if length and length[1] != "nm" and hasattr(module, "_cv"):
            raise PlumedInputError(
                f"UNITS LENGTH={length[1]} was given with IMPORT={name}: nm is expected, PyCV gets positions in that "
                "unit and cannot know it; leave LENGTH out and give lengths in nm"
            )
        missing = [a for a in attributes if not hasattr(module, a)]
        if missing:
            raise PlumedInputError(f"IMPORT={name}: the module has no {' and no '.join(missing)}")
        init = getattr(module, attributes[0])
        names = init.get("COMPONENTS", ()) if isinstance(init, dict) else ()
        if any("_" in n for n in names):
            raise PlumedInputError(f"IMPORT={name}: components {', '.join(names)}; PLUMED allows no underscore there")


def _import_module(name: str, folder: Path | None) -> ModuleType:
    """Import a module, from `folder` if it is there.

    One of the same name that was imported before is replaced: Python and PLUMED would go on using it, although
    another export of the same bundle may have other components or another precision.
    """
    path = None if folder is None else Path(folder).resolve() / f"{name}.py"
    if path is None or not path.is_file():
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    return module
