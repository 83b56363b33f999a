"""Templates with fields, and the modules that PLUMED will import, checked before it does."""

import sys

import pytest

from uqcv.errors import InputError, PlumedInputError
from uqcv.simulation.plumed_input import (
    fill_template,
    find_template,
    import_modules,
    imported_modules,
    loads_plugin,
    uses_pycv,
)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module into a folder; gone from this process afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    written = []

    def write(name: str, text: str, folder: str = "cvs"):
        path = tmp_path / folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        written.append(name)
        return path.parent

    yield write
    for name in written:
        sys.modules.pop(name, None)


def line(name: str, rest: str = "") -> str:
    return f"u: PYCVINTERFACE ATOMS=1 IMPORT={name} {rest}"


def test_our_templates_are_found_by_name(root):
    names = {p.stem for p in (root / "plumed_inputs").glob("*.dat")}
    assert {"metad", "opes"} <= names
    for name in names:
        assert find_template(name).read_text() == (root / "plumed_inputs" / f"{name}.dat").read_text()


def test_a_file_of_the_users(tmp_path):
    path = tmp_path / "mine.dat"
    path.write_text("RESTRAINT ARG=${cv} AT=${at}\n")
    assert fill_template(str(path), {"cv": "u.py-mean", "at": 0.1}) == "RESTRAINT ARG=u.py-mean AT=0.1\n"


def test_an_unknown_template_names_the_known():
    with pytest.raises(InputError, match=r"PLUMED template metadd: no such file.*\(.*metad, .*opes"):
        find_template("metadd")


def test_a_missing_value_is_named():
    with pytest.raises(InputError, match=r"metad\.dat: no value for the field \$\{atoms\}; known: cv"):
        fill_template("metad", {"cv": "u.py-mean"})


def test_a_dollar_that_is_no_field(tmp_path):
    path = tmp_path / "mine.dat"
    path.write_text("PRINT ARG=$ FILE=a\n")
    with pytest.raises(InputError, match=r"mine\.dat: .*write \$\$ for a dollar sign"):
        fill_template(str(path), {})
    path.write_text("PRINT ARG=$$ FILE=a\n")
    assert "ARG=$ " in fill_template(str(path), {})


def test_numbers_keep_their_digits(tmp_path):
    path = tmp_path / "t.dat"
    path.write_text("${a} ${b} ${c}")
    assert fill_template(str(path), {"a": 1 / 3, "b": 1e-12, "c": 100}) == "0.3333333333 1e-12 100"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (line("cv"), [("cv", "plumedInit", "plumedCalculate")]),
        (line("cv", "INIT=a CALCULATE=b"), [("cv", "a", "b")]),
        (line("cv", "# IMPORT=other"), [("cv", "plumedInit", "plumedCalculate")]),
        (f"# {line('cv')}", []),
        ("d: DISTANCE ATOMS=1,2", []),
        (f"{line('a')}\n{line('b')}", [(n, "plumedInit", "plumedCalculate") for n in "ab"]),
        ("u: PYCVINTERFACE ...\n  ATOMS=1\n  IMPORT=cv\n...\n", [("cv", "plumedInit", "plumedCalculate")]),
        (
            "PYCVINTERFACE ... # long\n LABEL=u\n IMPORT=cv CALCULATE=f\n... PYCVINTERFACE\nPRINT ARG=u.py-a",
            [("cv", "plumedInit", "f")],
        ),
        (
            "u: PYCVINTERFACE ...\n IMPORT=a\n...\nv: PYCVINTERFACE IMPORT=b",
            [(n, "plumedInit", "plumedCalculate") for n in "ab"],
        ),
    ],
)  # fmt: skip
def test_imported_modules(text, found):
    assert imported_modules(text) == found
    assert uses_pycv(text) == bool(found)


def test_who_loads_the_plugin():
    assert loads_plugin("LOAD FILE=/a/PythonCVInterface.so\n")
    assert not loads_plugin("# LOAD FILE=/a/PythonCVInterface.so\n")
    assert not loads_plugin("LOAD FILE=/a/other.so\n")


def test_a_missing_module(tmp_path):
    with pytest.raises(PlumedInputError, match=r"IMPORT=uqcv_nothing: No module named .*uqcv export") as caught:
        import_modules(line("uqcv_nothing"), tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "plumedInit = {}\n", "plumedCalculate = print\n"])
def test_a_module_without_what_plumed_looks_for(module, text):
    folder = module("cv_incomplete", text)
    with pytest.raises(PlumedInputError, match="IMPORT=cv_incomplete: the module has no plumed"):
        import_modules(line("cv_incomplete"), folder)


def test_names_of_the_users_own(module):
    folder = module("cv_own", "start = {'COMPONENTS': {}}\ndef value(action): ...\n")
    import_modules(line("cv_own", "INIT=start CALCULATE=value"), folder)
    with pytest.raises(PlumedInputError, match="no other"):
        import_modules(line("cv_own", "INIT=start CALCULATE=other"), folder)


def test_an_underscore_in_a_component(module):
    """PLUMED aborts the process at it."""
    text = "plumedInit = {'COMPONENTS': {'smooth_max': {}}}\ndef plumedCalculate(action): ...\n"
    folder = module("cv_underscore", text)
    with pytest.raises(PlumedInputError, match="components smooth_max; PLUMED allows no underscore"):
        import_modules(line("cv_underscore"), folder)


def test_an_error_of_a_module_is_its_own(module):
    text = "from uqcv.errors import BundleError\nraise BundleError('the bundle is gone')\n"
    folder = module("cv_raises", text)
    with pytest.raises(InputError, match="the bundle is gone"):
        import_modules(line("cv_raises"), folder)
    assert "cv_raises" not in sys.modules


def test_of_two_modules_of_one_name_the_folder_decides(module):
    text = "plumedInit = {{'VALUE': {}}}\nplumedCalculate = print\n"
    folders = [module("cv_twice", text.format(k), folder=f"f{k}") for k in (1, 2)]
    for k, folder in ((1, folders[0]), (2, folders[1]), (1, folders[0])):
        import_modules(line("cv_twice"), folder)
        assert sys.modules["cv_twice"].plumedInit == {"VALUE": k}
