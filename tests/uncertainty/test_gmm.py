"""The mixture: the same numbers as scikit-learn, with gradients, and regularised relative to the features."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.mixture import GaussianMixture

from uqcv.errors import InputError, UnknownElementError
from uqcv.uncertainty.gmm import BIC_CANDIDATES, GMMSettings, GMMUncertainty

N_FEATURES = 6
NUMBERS = np.array([1, 6, 8])


def clusters(n: int = 300, spread: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features in three clusters of different shapes, one per element."""
    random = np.random.default_rng(seed)
    which = random.integers(0, 3, n)
    centres = random.normal(size=(3, N_FEATURES))
    shapes = random.normal(scale=spread, size=(3, N_FEATURES, N_FEATURES))
    noise = np.einsum("nf,nfg->ng", random.normal(size=(n, N_FEATURES)), shapes[which])
    return centres[which] + noise, NUMBERS[which]


def fitted(**changes) -> GMMUncertainty:
    return GMMUncertainty(GMMSettings(**{"n_components": 3} | changes)).fit(*clusters())


def score(mixture: GMMUncertainty, features: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    return mixture.score(torch.as_tensor(features), torch.as_tensor(numbers)).numpy()


def by_sklearn(mixture: GMMUncertainty, features: np.ndarray) -> dict[str, np.ndarray]:
    """`-score_samples` of scikit-learn's own mixtures, fitted to the same features with the same settings."""
    x, z = clusters()
    expected = {}
    for key in mixture.mixtures:
        members = x if key == "all" else x[z == int(key)]
        regularisation = mixture.settings.regularisation * members.var(axis=0).mean()
        model = GaussianMixture(mixture.n_components_[key], reg_covar=regularisation, max_iter=200, random_state=0)
        expected[key] = -model.fit(members).score_samples(features)
    return expected


def test_the_value_is_that_of_sklearn():
    mixture, (x, z) = fitted(), clusters(seed=5)
    far = x + 30.0  # outside of the data, where the likelihood of each component underflows
    for features in (x, far):
        expected = by_sklearn(mixture, features)["all"]
        np.testing.assert_allclose(score(mixture, features, z), expected, rtol=1e-5)
    assert score(mixture, far, z).min() > 1000


def test_the_value_is_that_of_sklearn_for_each_element():
    mixture, (x, z) = fitted(per_element=True), clusters(seed=5)
    expected = by_sklearn(mixture, x)
    assert set(expected) == {"1", "6", "8"}
    values = score(mixture, x, z)
    for element in NUMBERS:
        np.testing.assert_allclose(values[z == element], expected[str(element)][z == element], rtol=1e-5)


def test_one_gaussian_is_the_formula():
    mixture, (x, z) = fitted(n_components=1), clusters()
    mean, covariance = x.mean(axis=0), np.cov(x.T, bias=True) + 1e-3 * x.var(axis=0).mean() * np.eye(N_FEATURES)
    centred = x - mean
    mahalanobis = np.einsum("nf,fg,ng->n", centred, np.linalg.inv(covariance), centred)
    expected = 0.5 * (mahalanobis + N_FEATURES * math.log(2 * math.pi) + np.linalg.slogdet(covariance)[1])
    np.testing.assert_allclose(score(mixture, x, z), expected, rtol=1e-9)


@pytest.mark.parametrize("per_element", [False, True])
def test_single_precision_is_near(per_element):
    mixture, (x, z) = fitted(per_element=per_element), clusters(seed=5)
    double = score(mixture, x, z)
    single = mixture.to(torch.float32).score(torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(z))
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single, double, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("per_element", [False, True])
def test_the_gradient(per_element):
    mixture, (x, z) = fitted(per_element=per_element), clusters(n=6, seed=5)
    features, numbers = torch.tensor(x, requires_grad=True), torch.as_tensor(z)
    assert torch.autograd.gradcheck(lambda f: mixture.score(f, numbers), features)
    # and against differences that torch has no part in
    (gradient,) = torch.autograd.grad(mixture.score(features, numbers).sum(), features)
    for k, a in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[k, a] = 1e-5
        slope = (score(mixture, x + step, z).sum() - score(mixture, x - step, z).sum()) / 2e-5
        assert gradient[k, a].item() == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("per_element", [False, True])
def test_the_scale_of_the_features_only_shifts_the_value(per_element):
    (x, z), settings = clusters(), GMMSettings(n_components=3, per_element=per_element)
    plain = GMMUncertainty(settings).fit(x, z)
    scaled = GMMUncertainty(settings).fit(10.0 * x, z)
    shift = score(scaled, 10.0 * x, z) - score(plain, x, z)
    np.testing.assert_allclose(shift, N_FEATURES * math.log(10.0), rtol=1e-6)


def test_regularisation_keeps_directions_without_variance_finite():
    x, z = clusters()
    x = np.concatenate([x, np.full((len(x), 2), 0.7)], axis=1)
    mixture = GMMUncertainty(GMMSettings(n_components=3)).fit(x, z)
    assert np.isfinite(score(mixture, x, z)).all()
    outside = x + np.array([0.0] * N_FEATURES + [0.1, 0.0])
    assert (score(mixture, outside, z) > score(mixture, x, z)).all()


def test_stronger_regularisation_is_flatter():
    (x, z), far = clusters(), clusters()[0] + 5.0
    weak, strong = (score(fitted(regularisation=r), far, z).mean() for r in (1e-4, 1e-1))
    assert strong < 0.8 * weak
    assert score(fitted(), x, z).mean() < weak


def test_what_lies_farther_out_is_less_certain():
    mixture, (x, z) = fitted(), clusters()
    values = [score(mixture, x + d, z).mean() for d in (0.0, 1.0, 2.0, 4.0, 8.0)]
    assert values == sorted(values)


def test_bic_finds_the_number_of_clusters():
    random = np.random.default_rng(0)
    x = np.concatenate([random.normal(scale=0.1, size=(80, 3)) + 4.0 * k for k in range(5)])
    mixture = GMMUncertainty(GMMSettings(n_components="bic")).fit(x, np.ones(400, int))
    assert mixture.n_components_ == {"all": 5}
    best = min(
        BIC_CANDIDATES,
        key=lambda k: GaussianMixture(k, reg_covar=1e-3 * x.var(axis=0).mean(), random_state=0).fit(x).bic(x),
    )
    assert best == 5


def test_bic_tries_only_what_the_atoms_allow():
    x, z = clusters(n=7)
    assert GMMUncertainty(GMMSettings(n_components="bic")).fit(x, z).n_components_["all"] <= 3


@pytest.mark.parametrize("per_element", [False, True])
def test_state_round_trip(per_element):
    mixture, (x, z) = fitted(per_element=per_element), clusters(seed=5)
    again = GMMUncertainty.from_state(mixture.settings, mixture.state_dict())
    np.testing.assert_array_equal(score(again, x, z), score(mixture, x, z))
    assert again.elements_ == mixture.elements_ == (1, 6, 8)
    assert again.n_components_ == mixture.n_components_


@pytest.mark.parametrize("per_element", [False, True])
def test_with_a_projection_the_mixtures_see_nothing_else(per_element):
    (x, z), settings = clusters(), GMMSettings(n_components=3, per_element=per_element)
    projection = np.random.default_rng(2).normal(size=(N_FEATURES, 2))
    projected = GMMUncertainty(settings).fit(x, z, projection=projection)
    plain = GMMUncertainty(settings).fit(x @ projection, z)
    np.testing.assert_allclose(score(projected, x, z), score(plain, x @ projection, z), rtol=1e-12)
    again = GMMUncertainty.from_state(settings, projected.state_dict())
    np.testing.assert_array_equal(score(again, x, z), score(projected, x, z))


def test_the_fit_repeats_itself():
    x, z = clusters()
    a, b = (GMMUncertainty(GMMSettings(n_components=5)).fit(x, z, seed=4) for _ in range(2))
    np.testing.assert_array_equal(score(a, x, z), score(b, x, z))


def test_too_few_atoms():
    x, z = clusters(n=9)
    with pytest.raises(InputError, match="mixture all: 9 atoms were given for 10 components"):
        GMMUncertainty(GMMSettings(n_components=10)).fit(x, z)
    x, z = clusters(n=40)
    rare = np.where(np.arange(40) < 3, 8, 1)
    with pytest.raises(InputError, match="mixture 8: 3 atoms were given for 2 components"):
        GMMUncertainty(GMMSettings(n_components=2, per_element=True)).fit(x, rare)


@pytest.mark.parametrize("per_element", [False, True])
def test_an_unknown_element(per_element):
    mixture = fitted(per_element=per_element)
    with pytest.raises(UnknownElementError, match=r"\[16\] were given; the mixture knows \[1, 6, 8\]"):
        score(mixture, np.zeros((2, N_FEATURES)), np.array([1, 16]))


def test_features_must_be_finite():
    x, z = clusters()
    x[3, 2] = np.nan
    with pytest.raises(InputError, match="features: NaN or infinity"):
        GMMUncertainty(GMMSettings(n_components=3)).fit(x, z)


def test_settings_are_strict():
    for bad in ({"components": 3}, {"regularisation": 0.0}, {"n_components": "aic"}, {"n_components": 0}):
        with pytest.raises(ValidationError):
            GMMSettings(**bad)


@pytest.mark.parametrize(("n", "expected"), [(4, 1), (30, 3), (95, 9), (400, 10)])
def test_each_component_has_as_many_atoms_as_features(n, expected):
    x = np.random.default_rng(0).normal(size=(n, 10))
    assert GMMUncertainty().fit(x, np.ones(n, int)).n_components_ == {"all": expected}
