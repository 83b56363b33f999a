import pytest

from uqcv.sampling.strategies import Site


@pytest.fixture
def site(bundle, force_field, topology_path, tmp_path) -> Site:
    """Where walkers of alanine dipeptide run, with the bundle on disk."""
    folder = bundle.save(tmp_path / "bundle")
    return Site(tmp_path / "walkers", folder, topology_path, force_field.structure, bundle.settings.lowest_energy)
