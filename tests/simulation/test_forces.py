"""The network and the bias as forces of OpenMM, checked against OpenMM's own energies."""

import numpy as np
import openmm
import pytest
import torch
from openmm import app, unit

from uqcv.colvars.export import export, module_name
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.errors import InputError, PlumedInputError, UnknownElementError
from uqcv.simulation.force_functions import add_function, positions_and_box
from uqcv.simulation.forces import add_plumed, add_potential, bare_system
from uqcv.simulation.topology import topology_numbers
from uqcv.structures import Structure
from uqcv.units import EV_TO_KJMOL

NM = unit.nanometer
KJMOL = unit.kilojoule_per_mole


def make_context(system: openmm.System, positions, integrator=None) -> openmm.Context:
    """A context on the Reference platform (double precision); positions in nm."""
    integrator = integrator or openmm.VerletIntegrator(0.0005)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(positions)
    return context


def energy_at(context: openmm.Context, positions, groups=-1) -> float:
    context.setPositions(positions)
    return context.getState(energy=True, groups=groups).getPotentialEnergy().value_in_unit(KJMOL)


def forces_of(context: openmm.Context, groups=-1) -> np.ndarray:
    forces = context.getState(forces=True, groups=groups).getForces(asNumpy=True)
    return forces.value_in_unit(KJMOL / NM)


def positions_of(context: openmm.Context) -> np.ndarray:
    """In nm."""
    return context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(NM)


def box_of(context: openmm.Context) -> np.ndarray:
    return context.getState().getPeriodicBoxVectors(asNumpy=True).value_in_unit(NM)


def langevin(seed: int = 1) -> openmm.LangevinMiddleIntegrator:
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.0005)
    integrator.setRandomNumberSeed(seed)
    return integrator


@pytest.fixture(scope="module")
def pdb(topology_path) -> app.PDBFile:
    return app.PDBFile(str(topology_path))


@pytest.fixture(scope="module")
def alloy(crystal) -> app.Topology:
    """A topology of the crystal, with its box."""
    topology = app.Topology()
    residue = topology.addResidue("ALY", topology.addChain())
    for z in crystal.numbers:
        element = app.Element.getByAtomicNumber(int(z))
        topology.addAtom(element.symbol, element, residue)
    topology.setPeriodicBoxVectors([openmm.Vec3(*row) for row in crystal.cell * 0.1] * NM)
    return topology


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def restraint(module: str, n_atoms: int = 22) -> str:
    return f"u: PYCVINTERFACE ATOMS=1-{n_atoms} IMPORT={module}\nRESTRAINT ARG=u.py-mean AT=0 KAPPA=300"


def test_forces_of_the_network(pdb, bundle, molecule, assert_gradient):
    system = bare_system(pdb.topology)
    add_potential(system, pdb.topology, bundle, dtype=torch.float64)
    positions = molecule.positions * 0.1
    context = make_context(system, positions)
    assert_gradient(lambda x: energy_at(context, x), positions, -forces_of(context), step=1e-5)


def test_forces_of_the_bias(here, pdb, exported, molecule, assert_gradient):
    folder, module = exported
    system = bare_system(pdb.topology)
    bias = add_plumed(system, pdb.topology, restraint(module), 300.0, 0.5, folder)
    positions = molecule.positions * 0.1
    context = make_context(system, positions)
    forces = forces_of(context)
    assert_gradient(lambda x: energy_at(context, x), positions, -forces, step=1e-5)
    assert energy_at(context, positions) == bias.bias > 0
    bias.close()


def test_single_precision_is_near(pdb, bundle, molecule):
    """What a simulation runs by default is near what the tests above prove."""
    contexts = []
    for dtype in (torch.float32, torch.float64):
        system = bare_system(pdb.topology)
        add_potential(system, pdb.topology, bundle, dtype=dtype)
        contexts.append(make_context(system, molecule.positions * 0.1))
    single, double = (forces_of(c) for c in contexts)
    np.testing.assert_allclose(single, double, atol=1e-4 * np.abs(double).max())


def test_energy_zero_is_the_lowest_label(pdb, bundle, molecule):
    system = bare_system(pdb.topology)
    network = add_potential(system, pdb.topology, bundle, dtype=torch.float64)
    in_ev = energy_at(make_context(system, molecule.positions * 0.1), molecule.positions * 0.1) / EV_TO_KJMOL
    expected = UncertaintyCV(bundle, molecule.numbers).evaluate(molecule.positions).energy
    assert network.energy_zero == bundle.settings.lowest_energy
    assert in_ev + network.energy_zero == pytest.approx(expected, abs=1e-9)


def test_the_bias_has_a_group_of_its_own(here, pdb, bundle, exported, molecule):
    folder, module = exported
    system = bare_system(pdb.topology)
    network = add_potential(system, pdb.topology, bundle, dtype=torch.float64)
    bias = add_plumed(system, pdb.topology, restraint(module), 300.0, 0.5, folder)
    positions = molecule.positions * 0.1
    context = make_context(system, positions)
    groups = {force.getName(): force.getForceGroup() for force in system.getForces()}
    alone = {name: energy_at(context, positions, {group}) for name, group in groups.items()}
    evaluation = network.cv.evaluate(molecule.positions)
    assert len(set(groups.values())) == 2
    assert alone["PlumedForce"] == pytest.approx(150.0 * evaluation.value("mean") ** 2, rel=1e-9)
    assert alone["NetworkForce"] == pytest.approx((evaluation.energy - network.energy_zero) * EV_TO_KJMOL, rel=1e-9)
    assert energy_at(context, positions) == pytest.approx(sum(alone.values()), rel=1e-12)
    bias.close()


def test_two_lines_on_a_system_with_forces(here, pdb, bundle, exported, force_field, molecule):
    """Somebody's own System, integrator and reporter; uqcv adds two forces."""
    folder, module = exported
    system = force_field.create_system()
    classical = [force.getName() for force in system.getForces()]
    assert classical
    add_potential(system, pdb.topology, bundle, dtype=torch.float64, group=7)
    bias = add_plumed(system, pdb.topology, restraint(module), 300.0, 0.5, folder, group=8)
    assert [force.getName() for force in system.getForces()] == [*classical, "NetworkForce", "PlumedForce"]
    simulation = app.Simulation(pdb.topology, system, langevin(), openmm.Platform.getPlatformByName("Reference"))
    positions = molecule.positions * 0.1
    total = energy_at(simulation.context, positions)
    parts = [energy_at(simulation.context, positions, g) for g in ({7}, {8}, set(range(7)))]
    assert total == pytest.approx(sum(parts), rel=1e-12)
    assert parts[2] == pytest.approx(molecule.energy * EV_TO_KJMOL, rel=1e-9)
    simulation.reporters.append(app.StateDataReporter(str(here / "log.csv"), 5, step=True, potentialEnergy=True))
    simulation.step(10)
    bias.close()
    assert len((here / "log.csv").read_text().splitlines()) == 3


def test_one_forward_pass_per_step(here, pdb, bundle, exported):
    folder, module = exported
    system = bare_system(pdb.topology)
    network = add_potential(system, pdb.topology, bundle, dtype=torch.float64)
    bias = add_plumed(system, pdb.topology, restraint(module), 300.0, 0.5, folder)
    integrator = langevin()
    context = make_context(system, pdb.positions, integrator)
    integrator.step(1)
    before = network.cv.n_evaluations
    integrator.step(10)
    assert network.cv.n_evaluations == before + 10
    context.getState(energy=True, forces=True)
    context.getState(energy=True, groups={0})
    assert network.cv.n_evaluations == before + 11
    bias.close()


def test_energies_asked_twice_are_the_same(here, pdb, exported):
    folder, module = exported
    system = bare_system(pdb.topology)
    text = f"u: PYCVINTERFACE ATOMS=1-22 IMPORT={module}\nMETAD ARG=u.py-mean SIGMA=0.1 HEIGHT=1 PACE=2 FILE=HILLS"
    bias = add_plumed(system, pdb.topology, text, 300.0, 0.5, folder)
    integrator = langevin()
    context = make_context(system, pdb.positions, integrator)
    seen = []
    for _ in range(9):
        integrator.step(1)
        now = positions_of(context)
        asked = [energy_at(context, now) for _ in range(3)]
        assert asked[0] == asked[1] == asked[2]
        seen.append(asked[0])
    assert seen[0] == 0.0 and seen[-1] > 1.0, "hills are felt"
    bias.close()
    np.testing.assert_allclose(np.loadtxt("HILLS")[:, 0], [0.001, 0.002, 0.003, 0.004])


def test_a_periodic_system_follows_its_box(alloy, crystal_bundle, crystal):
    system = bare_system(alloy)
    add_potential(system, alloy, crystal_bundle, dtype=torch.float64)
    assert system.usesPeriodicBoundaryConditions()
    context = make_context(system, crystal.positions * 0.1)
    cv = UncertaintyCV(crystal_bundle, crystal.numbers, crystal.pbc)
    seen = set()
    for scale in (1.0, 1.04, 0.97):
        cell = crystal.cell * scale
        context.setPeriodicBoxVectors(*[openmm.Vec3(*row) for row in cell * 0.1])
        expected = cv.evaluate(crystal.positions, cell).energy - crystal_bundle.settings.lowest_energy
        assert energy_at(context, crystal.positions * 0.1) == pytest.approx(expected * EV_TO_KJMOL, rel=1e-9)
        seen.add(round(expected, 6))
    assert len(seen) == 3


def test_forces_in_a_periodic_system(here, alloy, crystal_bundle, crystal_exported, crystal, assert_gradient):
    folder, module = crystal_exported
    system = bare_system(alloy)
    add_potential(system, alloy, crystal_bundle, dtype=torch.float64)
    bias = add_plumed(system, alloy, restraint(module, 4), 300.0, 0.5, folder)
    positions = crystal.positions * 0.1
    context = make_context(system, positions)
    both, of_the_bias = forces_of(context), forces_of(context, {1})
    assert_gradient(lambda x: energy_at(context, x), positions, -both, step=1e-5)
    assert_gradient(lambda x: energy_at(context, x, {1}), positions, -of_the_bias, step=1e-5)
    bias.close()


def test_a_barostat_deposits_each_hill_once(here, alloy, crystal_bundle, crystal_exported, crystal):
    folder, module = crystal_exported
    system = bare_system(alloy)
    network = add_potential(system, alloy, crystal_bundle, dtype=torch.float64)
    text = (
        f"u: PYCVINTERFACE ATOMS=1-4 IMPORT={module}\n"
        "METAD ARG=u.py-mean SIGMA=0.05 HEIGHT=0.1 PACE=2 FILE=HILLS FMT=%25.17g\n"
        "PRINT ARG=u.py-mean FILE=COLVAR FMT=%25.17g\n"
    )
    bias = add_plumed(system, alloy, text, 300.0, 0.5, folder)
    barostat = openmm.MonteCarloBarostat(1.0, 3.0, 1)  # so cold that what raises the energy is rejected
    barostat.setRandomNumberSeed(3)
    system.addForce(barostat)
    integrator = langevin()
    context = make_context(system, crystal.positions * 0.1, integrator)
    expected, rejected = [], []
    for _ in range(40):
        box, positions = box_of(context), positions_of(context)
        integrator.step(1)
        rejected.append(np.array_equal(box, box_of(context)))
        expected.append(network.cv.evaluate(positions * 10, box * 10).value("mean"))
    bias.close()
    hills, colvar = np.loadtxt("HILLS"), np.loadtxt("COLVAR")
    np.testing.assert_allclose(colvar[:, 0], 0.0005 * np.arange(40), atol=1e-12)
    np.testing.assert_allclose(hills[:, 0], 0.001 * np.arange(1, 20), atol=1e-12)
    assert 5 < sum(rejected) < 35, "both kinds of trial must occur"
    # A rejected trial leaves no trace. After an accepted one the step is at other positions than before.
    same = np.isclose(colvar[:, 1], expected, rtol=1e-12)
    assert same[rejected].all() and not same[~np.array(rejected)].any()
    np.testing.assert_allclose(hills[:, 1], colvar[2::2, 1], rtol=1e-12)


def velocity_verlet() -> openmm.CustomIntegrator:
    """One force evaluation per step, kept from the step before unless a barostat moved."""
    integrator = openmm.CustomIntegrator(0.001)
    integrator.addUpdateContextState()
    integrator.addComputePerDof("v", "v+0.5*dt*f/m")
    integrator.addComputePerDof("x", "x+dt*v")
    integrator.addComputePerDof("v", "v+0.5*dt*f/m")
    return integrator


INTEGRATORS = {
    "Verlet": lambda: openmm.VerletIntegrator(0.001),
    "Langevin": lambda: openmm.LangevinIntegrator(300.0, 1.0, 0.001),
    "Nose-Hoover": lambda: openmm.NoseHooverIntegrator(300.0, 1.0, 0.001),
    "custom": velocity_verlet,
}


@pytest.mark.parametrize("integrator", INTEGRATORS.values(), ids=INTEGRATORS)
def test_rejected_trials_leave_no_trace_with_any_integrator(here, integrator):
    topology = app.Topology()
    residue = topology.addResidue("AR", topology.addChain())
    for _ in range(4):
        topology.addAtom("Ar", app.Element.getBySymbol("Ar"), residue)
    topology.setPeriodicBoxVectors(np.eye(3) * NM)
    system = bare_system(topology)
    text = "v: VOLUME\nRESTRAINT ARG=v AT=1 KAPPA=100000\nPRINT ARG=v FILE=COLVAR FMT=%25.17g"
    bias = add_plumed(system, topology, text, 300.0, 1.0)
    barostat = openmm.MonteCarloBarostat(1.0, 300.0, 1)
    barostat.setRandomNumberSeed(3)
    system.addForce(barostat)
    steps = integrator()
    context = make_context(system, np.random.default_rng(0).uniform(size=(4, 3)), steps)
    volumes = [1.0]
    for _ in range(40):
        steps.step(1)
        volumes.append(context.getState().getPeriodicBoxVolume().value_in_unit(NM**3))
    bias.close()
    assert 5 < (np.diff(volumes) == 0).sum() < 35, "both kinds of trial must occur"
    np.testing.assert_allclose(np.loadtxt("COLVAR")[:, 1], volumes[1:], rtol=1e-9)


def test_the_input_may_be_a_file(here, pdb, exported, molecule):
    folder, module = exported
    (here / "plumed.dat").write_text(restraint(module))
    energies = []
    for text in (here / "plumed.dat", "plumed.dat", restraint(module)):
        system = bare_system(pdb.topology)
        bias = add_plumed(system, pdb.topology, text, 300.0, 0.5, str(folder))
        energies.append(energy_at(make_context(system, molecule.positions * 0.1), molecule.positions * 0.1))
        bias.close()
    assert energies[0] == energies[1] == energies[2] > 0


def test_the_bundle_may_be_a_folder(pdb, exported, bundle, molecule):
    positions = molecule.positions * 0.1
    energies = []
    for given in (bundle, exported[0] / "bundle", str(exported[0] / "bundle")):
        system = bare_system(pdb.topology)
        add_potential(system, pdb.topology, given, dtype=torch.float64)
        energies.append(energy_at(make_context(system, positions), positions))
    assert energies[0] == energies[1] == energies[2]


def test_an_input_that_plumed_refuses(here, pdb):
    system = bare_system(pdb.topology)
    with pytest.raises(PlumedInputError, match="PLUMED refuses the input"):
        add_plumed(system, pdb.topology, "NOTHING\n", 300.0, 0.5)
    assert system.getNumForces() == 0


def test_the_error_behind_openmms_text_is_kept(here, pdb, exported, molecule):
    folder, module = exported
    system = bare_system(pdb.topology)
    bias = add_plumed(system, pdb.topology, restraint(module), 300.0, 0.5, folder)
    broken = molecule.positions * 0.1
    broken[3] = np.nan
    context = make_context(system, broken)
    words = "step 0: positions: NaN or infinity was given"
    with pytest.raises(openmm.OpenMMException, match=words):
        context.getState(energy=True)
    assert isinstance(bias.error, InputError) and str(bias.error).startswith(words)
    bias.close()


def test_other_atoms_than_the_cv_was_exported_for_are_refused(here, pdb, exported):
    folder, module = exported
    with pytest.raises(PlumedInputError, match="u: 21 atoms were given in ATOMS; the CV was exported for 22"):
        add_plumed(bare_system(pdb.topology), pdb.topology, restraint(module, 21), 300.0, 0.5, folder)
    assert not list(here.glob("*"))


@pytest.mark.parametrize("fused", [True, False])
def test_a_bias_that_acts_on_nothing_is_said(here, pdb, exported, bundle, molecule, fused, capsys):
    """Atoms further apart than the cutoff: the network is constant there, and so is the uncertainty."""
    folder, module = exported
    system = bare_system(pdb.topology)
    network = add_potential(system, pdb.topology, bundle, dtype=torch.float64)
    network.cv.need_uncertainty()
    bias = add_plumed(system, pdb.topology, restraint(module), 300.0, 0.5, folder, network=network, fused=fused)
    context = make_context(system, molecule.positions * 10)
    for _ in range(2):
        context.getState(forces=True)
    assert capsys.readouterr().err.count("py-mean: its gradient is exactly zero at the first structure") == 1
    bias.close()


def test_a_bias_that_is_too_late_touches_no_file(here, pdb, exported, molecule):
    folder, module = exported
    system = bare_system(pdb.topology)
    context = make_context(system, molecule.positions * 0.1)
    (here / "HILLS").write_text("mine")
    with pytest.raises(InputError, match="has a Context"):
        add_plumed(
            system, pdb.topology, f"{restraint(module)}\nMETAD ARG=u.py-mean SIGMA=1 HEIGHT=1 PACE=5", 300, 0.5, folder
        )
    assert [path.name for path in here.iterdir()] == ["HILLS"] and context is not None


def test_an_error_of_an_earlier_step_is_forgotten(here, pdb, bundle, molecule):
    system = bare_system(pdb.topology)
    network = add_potential(system, pdb.topology, bundle, dtype=torch.float64)
    context = make_context(system, molecule.positions * np.nan)
    with pytest.raises(openmm.OpenMMException, match="step 0: positions: NaN or infinity was given"):
        context.getState(energy=True)
    assert isinstance(network.error, InputError) and str(network.error).startswith("step 0: positions")
    context.setPositions(molecule.positions * 0.1)
    context.getState(energy=True)
    assert network.error is None


def test_an_unknown_element(alloy, bundle):
    with pytest.raises(UnknownElementError, match=r"\[29, 79\] were given"):
        add_potential(bare_system(alloy), alloy, bundle)


def test_a_bare_system_has_masses_and_a_box(pdb, alloy, crystal):
    system = bare_system(pdb.topology)
    assert system.getNumForces() == 0
    assert system.getParticleMass(0).value_in_unit(unit.dalton) == pytest.approx(12.011, abs=0.01)
    assert topology_numbers(pdb.topology)[:3] == [6, 1, 1]
    box = bare_system(alloy).getDefaultPeriodicBoxVectors()
    np.testing.assert_allclose([list(v.value_in_unit(NM)) for v in box], crystal.cell * 0.1)


def test_energy_is_conserved(pdb, bundle):
    """Verlet dynamics of the network alone: forces that are no gradient would drift."""
    system = bare_system(pdb.topology)
    add_potential(system, pdb.topology, bundle, dtype=torch.float64)
    integrator = openmm.VerletIntegrator(0.00025)
    context = make_context(system, pdb.positions, integrator)
    context.setVelocitiesToTemperature(50.0, 1)
    totals, kinetic = [], []
    for _ in range(60):
        integrator.step(1)
        state = context.getState(energy=True)
        kinetic.append(state.getKineticEnergy().value_in_unit(KJMOL))
        totals.append(kinetic[-1] + state.getPotentialEnergy().value_in_unit(KJMOL))
    assert np.ptp(totals) < 0.05 * np.ptp(kinetic)


@pytest.mark.parametrize("n_walls", [1, 2])
def test_bias_of_plumeds_own_cvs_needs_no_export(here, pdb, n_walls):
    """Without the uncertainty no plugin is loaded, and biases of several actions add."""
    system = bare_system(pdb.topology)
    text = "d: DISTANCE ATOMS=1,20\n" + "UPPER_WALLS ARG=d AT=0.3 KAPPA=100\n" * n_walls
    bias = add_plumed(system, pdb.topology, text, 300.0, 0.5)
    positions = Structure(topology_numbers(pdb.topology), pdb.getPositions(asNumpy=True) / NM).positions
    distance = np.linalg.norm(positions[0] - positions[19])
    assert energy_at(make_context(system, positions), positions) == pytest.approx(n_walls * 100 * (distance - 0.3) ** 2)
    bias.close()


def test_another_precision_of_the_same_bundle(here, pdb, bundle, exported, tmp_path_factory, molecule):
    """Two exports share a name; each walker gets the one in its own folder."""
    single = tmp_path_factory.mktemp("single")
    export(bundle, single, dtype="float32")
    found = []
    for folder in (exported[0], single, exported[0]):
        system = bare_system(pdb.topology)
        bias = add_plumed(system, pdb.topology, restraint(module_name(bundle)), 300.0, 0.5, folder)
        found.append(energy_at(make_context(system, molecule.positions * 0.1), molecule.positions * 0.1))
        bias.close()
    assert found[0] == found[2] != found[1]
    assert found[1] == pytest.approx(found[0], rel=1e-3)


def masses_of(system: openmm.System) -> np.ndarray:
    return np.array([system.getParticleMass(k).value_in_unit(unit.dalton) for k in range(system.getNumParticles())])


def test_heavy_hydrogens_take_their_mass_from_their_neighbours(pdb):
    usual, heavy = masses_of(bare_system(pdb.topology)), masses_of(bare_system(pdb.topology, 3.0))
    hydrogens = np.array([atom.element.symbol == "H" for atom in pdb.topology.atoms()])
    assert (heavy[hydrogens] == 3.0).all()
    assert heavy.sum() == pytest.approx(usual.sum())
    given = {"O": 0, "N": 1, "CA": 1, "CB": 3}
    for atom in pdb.topology.atoms():
        if atom.name in given:
            expected = usual[atom.index] - given[atom.name] * (3.0 - usual[hydrogens][0])
            assert heavy[atom.index] == pytest.approx(expected)


def test_hydrogens_cannot_take_all(pdb):
    with pytest.raises(InputError, match=r"hydrogen_mass 5 amu leaves atom \d+ with .* give less"):
        bare_system(pdb.topology, 5.0)
    topology = app.Topology()
    residue = topology.addResidue("HF", topology.addChain())
    for symbol in ("H", "F"):
        topology.addAtom(symbol, app.Element.getBySymbol(symbol), residue)
    assert masses_of(bare_system(topology)) == pytest.approx([1.008, 18.998], abs=1e-2)
    with pytest.raises(InputError, match="hydrogen 0 has no bond"):
        bare_system(topology, 3.0)


def test_plumed_sees_the_masses_of_the_system(pdb, molecule, here):
    system = bare_system(pdb.topology, 3.0)
    bias = add_plumed(system, pdb.topology, "c: COM ATOMS=1-4\np: POSITION ATOM=c\nPRINT ARG=p.x FILE=C", 300.0, 1.0)
    context = make_context(system, molecule.positions * 0.1)
    context.getState(energy=True)
    bias.close()
    four = masses_of(system)[:4]
    expected = (four * molecule.positions[:4, 0] * 0.1).sum() / four.sum()
    assert np.loadtxt("C").ravel()[1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("periodic", [False, True])
def test_positions_and_box_are_those_of_the_public_interface(periodic):
    """They are read without OpenMM's units, through a method that is not public."""
    system = openmm.System()
    for _ in range(3):
        system.addParticle(1.0)
    box = np.array([[2.0, 0, 0], [0.3, 2.1, 0], [0.2, 0.1, 2.2]])
    system.setDefaultPeriodicBoxVectors(*box)
    seen = []

    def function(state):
        positions, vectors = positions_and_box(state, periodic)
        public = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        seen.append((positions, np.array(public), vectors))
        return 0.0, np.zeros((3, 3))

    add_function(system, function, periodic)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    for seed in (0, 1):
        context.setPositions(np.random.default_rng(seed).normal(size=(3, 3)))
        context.getState(energy=True)
    first, second = seen
    for positions, public, vectors in seen:
        np.testing.assert_array_equal(positions, public)
        assert vectors is None if not periodic else np.allclose(vectors, box)
    assert not np.array_equal(first[0], second[0]), "each call has memory of its own"
