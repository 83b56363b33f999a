"""Which folders a comparison takes, and which it refuses."""

import os
from dataclasses import replace

import pytest

from uqcv.benchmarks.uq.resume import begin, described
from uqcv.benchmarks.uq.split import Sizes
from uqcv.errors import InputError
from uqcv.files import read_json
from uqcv.structures import write_structures

SIZES = [Sizes(8, 4, 5, 5)]


@pytest.fixture
def begun(plan, tmp_path):
    begin(described(plan, SIZES), tmp_path)
    return tmp_path


def test_the_same_data_under_another_path(begun, plan, tmp_path_factory):
    (here,), (there,) = plan.source.files, plan.source.other_files
    moved = tmp_path_factory.mktemp("moved")
    for path in (here, there):
        (moved / path.name).write_bytes(path.read_bytes())
    source = replace(plan.source, files=(moved / here.name,), other_files=(moved / there.name,))
    begin(described(replace(plan, source=source), SIZES), begun)


def test_changed_data_are_refused(begun, plan, frames, tmp_path_factory):
    changed = tmp_path_factory.mktemp("changed") / plan.source.files[0].name
    write_structures(changed, frames[1:24])
    before = (begun / "settings.json").read_bytes()
    with pytest.raises(InputError, match="holds a comparison on other data"):
        begin(described(replace(plan, source=replace(plan.source, files=(changed,))), SIZES), begun)
    assert (begun / "settings.json").read_bytes() == before


def test_another_setting_is_refused_with_both_values(begun, plan):
    training = plan.training.model_copy(update={"epochs": 3})
    with pytest.raises(
        InputError, match=r"holds a comparison with training\.epochs 2; 3 was given: give that or another"
    ):
        begin(described(replace(plan, training=training), SIZES), begun)
    with pytest.raises(InputError, match=r"with held_out\.test 5; 4 was given"):
        begin(described(plan, [replace(SIZES[0], test=4)]), begun)


def test_more_is_taken_and_less_is_not(begun, plan):
    begin(described(replace(plan, seeds=3), [*SIZES, replace(SIZES[0], training=9)]), begun)
    assert read_json(begun / "settings.json")["training_sizes"] == [8, 9]
    with pytest.raises(InputError, match=r"with seeds 3; 1 was given: give those and more, or another --out"):
        begin(described(plan, [*SIZES, replace(SIZES[0], training=9)]), begun)
    with pytest.raises(InputError, match=r"with training_sizes 8, 9; 9 was given"):
        begin(described(replace(plan, seeds=3), [replace(SIZES[0], training=9)]), begun)


def test_a_folder_of_something_else(plan, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    (tmp_path / ".uqcv-4194304.of another").write_text("")
    with pytest.raises(InputError, match=r"holds thesis\.tex and is no comparison; a new folder is expected"):
        begin(described(plan, SIZES), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"thesis.tex", ".uqcv-4194304.of another"}


def test_a_folder_of_a_run_that_was_killed_at_once(plan, tmp_path):
    (tmp_path / ".uqcv-4194304.settings.json").write_text("")
    (tmp_path / ".lock").write_text("")
    begin(described(plan, SIZES), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"settings.json", ".lock"}


@pytest.mark.parametrize("text", ["{", "[]", '{"seeds": 3}'])
def test_damaged_settings(begun, plan, text):
    (begun / "settings.json").write_text(text)
    with pytest.raises(InputError, match=r"settings\.json: .*; give another --out or remove the folder"):
        begin(described(plan, SIZES), begun)


def test_what_killed_processes_were_making_is_removed(begun, plan):
    killed = begun / "train-8" / f".uqcv-{2**22 + os.getpid()}.split.json"
    killed.parent.mkdir()
    killed.write_text("")
    begin(described(plan, SIZES), begun)
    assert not killed.exists()
