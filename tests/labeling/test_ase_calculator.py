import ase.calculators.emt
import pytest

from uqcv.errors import InputError, LabelingError
from uqcv.labeling.ase_calculator import ASECalculatorMethod
from uqcv.structures import Structure

EMT = "ase.calculators.emt.EMT"


def test_forces_are_the_gradient(copper, assert_forces_are_the_gradient):
    assert_forces_are_the_gradient(ASECalculatorMethod(EMT), copper)


def test_it_gives_what_ase_gives(copper):
    atoms = copper.to_ase()
    atoms.calc = ase.calculators.emt.EMT()
    assert ASECalculatorMethod(EMT).label(copper).energy == pytest.approx(atoms.get_potential_energy())


def test_existing_labels_do_not_matter(copper):
    wrong = copper.with_labels(1e3, copper.positions)
    assert ASECalculatorMethod(EMT).label(wrong).energy != 1e3


def test_arguments_reach_the_class_and_the_name():
    method = ASECalculatorMethod(EMT, {"asap_cutoff": True})
    assert method.name == f"ASE {EMT}(asap_cutoff=True)"


@pytest.mark.parametrize("name", ["ase.calculators.emt.EMTT", "no.such.Module", "EMT", "", "ase.units.kB"])
def test_an_unknown_class_is_refused(name):
    with pytest.raises(InputError, match=r"ase\.calculators\.emt\.EMT"):
        ASECalculatorMethod(name)


def test_arguments_that_the_class_refuses_are_an_input_error():
    with pytest.raises(InputError, match=r"arguments that the class accepts"):
        ASECalculatorMethod("ase.calculators.lj.LennardJones", {"epsilon": 1.0, "parallel": object, "label": 1})


def test_an_element_that_emt_lacks_is_a_labeling_error():
    with pytest.raises(LabelingError, match="EMT"):
        ASECalculatorMethod(EMT).label(Structure([92], [[0.0, 0.0, 0.0]]))
