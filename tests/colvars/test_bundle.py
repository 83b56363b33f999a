"""A bundle is what it was when written, or it is refused; nothing in it is executed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from uqcv.colvars.bundle import FORMAT_VERSION, SETTINGS_FILE, WEIGHTS_FILE, Bundle, Distribution
from uqcv.colvars.fitting import UNFITTED
from uqcv.colvars.uncertainty_cv import UncertaintyCV
from uqcv.errors import BundleError, OutputError


@pytest.fixture
def saved(bundle, tmp_path) -> Path:
    return bundle.save(tmp_path / "bundle")


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(BundleError) as caught:
        Bundle.load(folder)
    message = str(caught.value)
    assert "\n" not in message and str(folder) in message
    for word in words:
        assert word in message


def with_settings(bundle: Bundle, **changes) -> Bundle:
    return Bundle(bundle.settings.model_copy(update=changes), bundle.model)


def edited(folder: Path, change) -> None:
    """Change the header in place."""
    header = json.loads((folder / SETTINGS_FILE).read_text())
    change(header)
    (folder / SETTINGS_FILE).write_text(json.dumps(header))


def test_round_trip(bundle, saved, molecule):
    again = Bundle.load(saved)
    assert again.hash == bundle.hash and len(again.hash) == 64
    assert again.settings == bundle.settings
    a, b = (UncertaintyCV(x, molecule.numbers).evaluate(molecule.positions) for x in (again, bundle))
    assert a.energy == b.energy and a.value("smooth_max") == b.value("smooth_max")
    np.testing.assert_array_equal(a.gradient("mean"), b.gradient("mean"))


def test_saving_again_changes_no_hash(bundle, saved):
    assert Bundle.load(Bundle.load(saved).save(saved)).hash == bundle.hash
    assert [p.name for p in saved.parent.iterdir()] == ["bundle"]
    assert sorted(p.name for p in saved.iterdir()) == [SETTINGS_FILE, WEIGHTS_FILE]


def test_another_bundle_replaces_the_first(bundle, crystal_bundle, saved):
    crystal_bundle.save(saved)
    assert Bundle.load(saved).hash == crystal_bundle.hash != bundle.hash


def test_the_header_is_for_people(saved, bundle):
    header = json.loads((saved / SETTINGS_FILE).read_text(encoding="utf-8"))
    assert header["hash"] == bundle.hash
    assert header["units"]["energy"] == "eV"
    assert header["settings"]["elements"] == [1, 6, 7, 8]


def test_every_tensor_is_in_the_hash(bundle, saved):
    names = [name for name, value in bundle.model.state_dict().items() if isinstance(value, torch.Tensor)]
    hashes = {bundle.hash}
    for name in names:
        altered = Bundle.load(saved)
        tensor = altered.model.state_dict()[name].view(-1)
        tensor[-1] += 1e-3 if tensor.is_floating_point() else 1
        hashes.add(Bundle(altered.settings, altered.model).hash)
    assert len(names) > 20
    assert len(hashes) == len(names) + 1


def test_every_setting_but_the_provenance_is_in_the_hash(bundle):
    s = bundle.settings
    changes = {
        "uncertainty": s.uncertainty.model_copy(update={"pooling": s.pooling.model_copy(update={"sharpness": 5.0})}),
        "distributions": s.distributions | {"max": s.distributions["max"].model_copy(update={"training_mean": 0.5})},
        "atom_calibration": s.atom_calibration.model_copy(update={"elements": {}}),
        "standard_mean": s.standard_mean + 1e-9,
        "standard_deviation": s.standard_deviation + 1e-9,
        "lowest_energy": s.lowest_energy - 1.0,
        "reference_numbers": s.reference_numbers[1:],
    }
    hashes = {with_settings(bundle, **{k: v}).hash for k, v in changes.items()}
    assert len(hashes | {bundle.hash}) == len(changes) + 1
    assert with_settings(bundle, provenance={"campaign": "another", "generation": 7}).hash == bundle.hash


def test_the_provenance_is_kept(bundle, tmp_path):
    folder = with_settings(bundle, provenance={"generation": 7}).save(tmp_path / "b")
    assert Bundle.load(folder).settings.provenance == {"generation": 7}


def test_an_altered_setting_is_refused(saved):
    edited(saved, lambda h: h["settings"].update(standard_mean=0.0))
    refused(saved, "altered after it was written")


def test_altered_weights_are_refused(saved):
    state = torch.load(saved / WEIGHTS_FILE, weights_only=True)
    state["network.readout.2.bias"] += 1e-6
    torch.save(state, saved / WEIGHTS_FILE)
    refused(saved, "altered after it was written")


def test_no_bundle_at_all(tmp_path):
    refused(tmp_path / "nowhere", "not a bundle", "uqcv fit")
    refused(tmp_path, "not a bundle")


@pytest.mark.parametrize("name", [SETTINGS_FILE, WEIGHTS_FILE])
def test_a_missing_file(saved, name):
    (saved / name).unlink()
    refused(saved)


@pytest.mark.parametrize("name", [SETTINGS_FILE, WEIGHTS_FILE])
@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_a_truncated_file(saved, name, keep):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: int(keep * len(content))])
    refused(saved)


def distribution_of(held_out) -> Distribution:
    return Distribution(
        training_mean=1.0, training_deviation=0.1, held_out=tuple(held_out), calibration=UNFITTED
    )  # fmt: skip


@pytest.mark.parametrize("version", [1, 2, "2", None])
def test_another_format_version(saved, version):
    edited(saved, lambda h: h.update(format_version=version))
    refused(saved, f"format {version} was given", f"reads format {FORMAT_VERSION}")


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.pop("settings"),
        lambda h: h["settings"].pop("elements"),
        lambda h: h["settings"].update(unheard_of=1),
        lambda h: h["settings"]["potential"].update(n_features=8),
        lambda h: h["settings"].update(elements=[1, 6]),
        lambda h: h.update(settings=None),
    ],
)
def test_a_damaged_header(saved, change):
    edited(saved, change)
    refused(saved)


@pytest.mark.parametrize("content", [{}, {"potential": {}, "uncertainty": {}}, [1, 2], 3])
def test_other_content_in_place_of_the_weights(saved, content):
    torch.save(content, saved / WEIGHTS_FILE)
    refused(saved)


class Payload:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_malicious_file_of_weights_is_not_executed(saved, tmp_path):
    victim = tmp_path / "executed"
    torch.save({"potential": Payload(victim), "uncertainty": {}}, saved / WEIGHTS_FILE)
    refused(saved, "more than tensors and plain values, and nothing in it was executed; a file of weights is expected")
    assert not victim.exists()
    # the payload does work where unpickling is allowed
    torch.load(saved / WEIGHTS_FILE, weights_only=False)
    assert victim.exists()


def test_a_failed_save_leaves_the_old_bundle(saved, bundle, crystal_bundle, monkeypatch):
    def full_disk(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OutputError, match="no space left"):
        crystal_bundle.save(saved)
    assert Bundle.load(saved).hash == bundle.hash


def test_a_copied_folder_is_the_same_bundle(saved, bundle, tmp_path):
    assert Bundle.load(shutil.copytree(saved, tmp_path / "copy")).hash == bundle.hash


def test_quantiles_of_a_distribution(bundle, frames):
    distribution = bundle.settings.distributions["mean"]
    assert len(distribution.held_out) == 10
    assert distribution.quantile(0.0) == min(distribution.held_out)
    assert distribution.quantile(1.0) == max(distribution.held_out)


def test_the_spread_is_that_of_usual_frames():
    usual = np.random.default_rng(0).normal(1.0, 0.1, 2000)
    mixed = np.concatenate([usual, np.full(100, 5.0)])
    distribution = distribution_of(mixed)
    assert distribution.deviation == pytest.approx(0.1, rel=0.15)
    assert mixed.std() > 8 * distribution.deviation


def test_the_spread_of_nearly_equal_values_is_not_zero():
    assert distribution_of([1.0, 1.0, 1.0, 2.0]).deviation > 0
