"""From real walkers to the frames that are worth a label."""

import numpy as np
import pytest

from uqcv.active_learning.harvesting import describer, harvest, read_walkers
from uqcv.active_learning.selection import HarvestSettings
from uqcv.colvars.bundle import Bundle
from uqcv.colvars.fitting import evaluate_frames
from uqcv.errors import InputError
from uqcv.files import read_json
from uqcv.simulation.topology import read_topology
from uqcv.simulation.torsions import HeavyTorsion, heavy_torsions
from uqcv.simulation.trajectory import write_dcd
from uqcv.structures import read_structures

EASY = HarvestSettings(quantile=0.0, max_error=1e6, max_frames=100, duplicate_tolerance=0.0)


@pytest.fixture(scope="module")
def paths(tiny):
    return tiny.folder.generation(0)


@pytest.fixture(scope="module")
def model(paths) -> Bundle:
    return Bundle.load(paths.bundle)


@pytest.fixture(scope="module")
def walked(paths, topology_path):
    return read_walkers(paths.walkers, topology_path)


@pytest.fixture(scope="module")
def training(paths):
    return read_structures(paths.training)


@pytest.fixture
def take(model, training, guard, force_field):
    torsions = heavy_torsions(force_field.topology)

    def harvested(frames, settings=EASY, ceiling=1e9, component="mean", known=training):
        return harvest(model, frames, known, guard, ceiling, component, settings, None, torsions)

    return harvested


def test_frames_say_where_they_come_from(walked, paths):
    rows = {w.name: len((w / "frames.csv").read_text().splitlines()) - 1 for w in paths.walkers.iterdir()}
    assert len(walked) == sum(rows.values()) > 4
    assert [(s.info["walker"], s.info["frame"]) for s in walked] == [
        (name, k) for name in sorted(rows) for k in range(rows[name])
    ]


def test_what_was_selected_is_uncertain_and_says_so(take, walked, model):
    settings = EASY.model_copy(update={"quantile": 0.5})
    result = take(walked, settings)
    held_out = np.sort(model.settings.distributions["mean"].held_out)
    assert result.threshold == held_out[int(np.ceil(0.5 * len(held_out))) - 1]
    assert result.structures
    for frame in result.structures:
        source = next(
            s for s in walked if (s.info["walker"], s.info["frame"]) == (frame.info["walker"], frame.info["frame"])
        )
        np.testing.assert_array_equal(frame.positions, source.positions)
        value = evaluate_frames(model, [frame]).pooled["mean"][0]
        assert frame.info["uncertainty"] == pytest.approx(value) and value > result.threshold


def test_each_step_of_the_funnel(take, walked, model, guard):
    values = evaluate_frames(model, walked).pooled["mean"]
    middle = float(np.median(values))
    settings = EASY.model_copy(update={"ceiling": middle})
    result = take(walked, settings)
    left = result.funnel.left
    uncertain = values > result.threshold
    assert list(left) == ["frames", "uncertain", "below the ceiling", "physical", "new", "selected"]
    assert left["frames"] == len(walked)
    assert left["uncertain"] == uncertain.sum()
    assert left["below the ceiling"] == left["physical"] == (uncertain & (values <= middle)).sum() > 0
    assert left["selected"] == len(result.structures)
    assert all(s.info["uncertainty"] <= middle for s in result.structures)
    assert result.problems == {}


def test_torn_frames_are_never_selected(take, walked):
    torn = []
    for k, frame in enumerate(walked[:3]):
        positions = frame.positions.copy()
        positions[1] += 3.0
        torn.append(frame.with_positions(positions).with_info(walker="torn", frame=k))
    result = take([*walked, *torn])
    assert result.structures and all(s.info["walker"] != "torn" for s in result.structures)
    assert result.problems == {"bond": 3}
    assert result.funnel.fell["physical"] == sum(s.info["walker"] == "torn" for s in torn)


def test_frames_that_are_too_high_are_never_selected(take, walked, model):
    energies = evaluate_frames(model, walked).energies
    ceiling = float(np.sort(energies)[len(energies) // 2 :][:2].mean())  # between two frames
    result = take(walked, ceiling=ceiling)
    assert result.structures
    assert (evaluate_frames(model, result.structures).energies <= ceiling).all()
    assert result.problems == {"energy": int((energies > ceiling).sum())}


def test_what_is_known_is_not_news(take, walked, training):
    again = [s.with_info(walker="walker-00", frame=k) for k, s in enumerate(training)]
    result = take(again)
    assert result.funnel.left["new"] == 0 and result.structures == []
    twice = take([*walked, *walked])
    assert twice.funnel.left["new"] == take(walked).funnel.left["new"]


def test_at_most_so_many(take, walked):
    assert len(take(walked, EASY.model_copy(update={"max_frames": 2})).structures) == 2


def test_what_is_left_over_would_have_been_next(take, walked):
    one, both = (take(walked, EASY.model_copy(update={"max_frames": n, "remember": 1})) for n in (1, 2))
    assert [len(one.structures), len(one.left_over), one.funnel.left["selected"]] == [1, 1, 1]
    for left, right in zip([*one.structures, *one.left_over], both.structures, strict=True):
        assert left.info == right.info and np.array_equal(left.positions, right.positions)


def test_a_collision_in_the_first_frame_is_the_guards_to_judge(tmp_path, take, walked, topology_path):
    positions = walked[0].positions.copy()
    positions[1] = positions[4] + 0.1
    (tmp_path / "walker-00").mkdir()
    frames = [walked[0].with_positions(positions), *walked[:3]]
    write_dcd(tmp_path / "walker-00" / "trajectory.dcd", read_topology(topology_path), frames)
    found = read_walkers(tmp_path, topology_path)
    assert len(found) == 4 and sum(take(found).problems.values()) == 1


def test_nothing_at_all(take):
    result = take([])
    assert (result.structures, result.funnel.left, result.problems) == ([], {"frames": 0}, {})


TORSIONS = [HeavyTorsion((0, 4, 6, 8), False), HeavyTorsion((4, 6, 8, 14), True)]


@pytest.mark.parametrize(("kind", "length"), [("features", 2 * 8 * 4), ("distances", 45), ("torsions", 4)])
def test_descriptors_tell_structures_apart(model, walked, kind, length):
    describe = describer(kind, model, walked, TORSIONS)
    points = describe(walked[:4])
    assert points.shape == (4, length)
    np.testing.assert_allclose(points[2], describe([walked[2]])[0], rtol=1e-5, atol=1e-6)
    assert len(np.unique(points.round(9), axis=0)) == 4


def test_what_describes_by_default(model, walked, crystals, crystal_bundle):
    for torsions, length in ((TORSIONS, 4), ([], 45)):
        assert describer("auto", model, walked, torsions)(walked[:1]).shape == (1, length)
    assert describer("auto", crystal_bundle, crystals, [])(crystals[:1]).shape == (1, 2 * 8 * 2)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("distances", "descriptor=distances was given, but the cell is periodic; give features"),
        ("torsions", "descriptor=torsions was given, but the topology has no bonds with torsions"),
    ],
)
def test_what_cannot_describe(model, walked, crystals, kind, words):
    with pytest.raises(InputError, match=words):
        describer(kind, model, crystals, [])
    with pytest.raises(InputError, match=f"descriptor={kind} was given, but the cell is periodic; give features"):
        describer(kind, model, crystals, TORSIONS)
    with pytest.raises(InputError, match="but not all frames have the same atoms; give features"):
        describer(kind, model, [walked[0], crystals[0]], TORSIONS)


def test_the_campaign_wrote_the_same(paths, take, walked, tiny):
    """The stage of the campaign is this function on its files."""
    written = read_json(paths.harvest)
    selected = read_structures(paths.selected)
    assert written["funnel"][0] == ["frames", len(walked)] and written["funnel"][-1] == ["selected", len(selected)]
    parts = (paths.training, paths.validation, paths.calibration)
    known = [s for path in parts for s in read_structures(path)]
    again = take(walked, tiny.config.harvest, component=tiny.config.sampling.bias.component, known=known)
    assert [list(step) for step in again.funnel.steps] == written["funnel"]
    assert [(s.info["walker"], s.info["frame"]) for s in again.structures] == [
        (s.info["walker"], s.info["frame"]) for s in selected
    ]
    assert {s.info["origin"] for s in selected} == {"generation 0"}


def test_a_walker_without_frames(tmp_path, topology_path):
    (tmp_path / "walker-00").mkdir()
    (tmp_path / "walker-00" / "trajectory.dcd").write_bytes(b"")
    (tmp_path / "walker-01").mkdir()
    assert read_walkers(tmp_path, topology_path) == []
