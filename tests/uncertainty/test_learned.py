"""Losses of networks that learn how wrong they are: their formulas, their gradients, what they are least for."""

import numpy as np
import pytest
import torch
from scipy.stats import norm, t

from uqcv.uncertainty.evidential import Evidence, Evidential, EvidentialLoss, evidence, student_nll
from uqcv.uncertainty.mean_variance import MeanVariance, MeanVarianceLoss, gaussian_nll, variance

RANDOM = torch.Generator().manual_seed(0)
ERRORS = torch.randn(40, 3, generator=RANDOM, dtype=torch.float64) * 0.1


def outputs(n: int, at: float = 0.0) -> torch.Tensor:
    return at + torch.randn(40, n, generator=RANDOM, dtype=torch.float64)


def test_the_gaussian_likelihood_is_that_of_scipy():
    variances = variance(outputs(1))
    expected = -norm(0, variances.sqrt()[:, None]).logpdf(ERRORS) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(gaussian_nll(ERRORS, variances), expected, rtol=1e-12)


def test_the_students_likelihood_is_that_of_scipy():
    found = evidence(outputs(3))
    nu, alpha, beta = (part[:, None] for part in found)
    scale = (beta * (1 + nu) / (nu * alpha)).sqrt()
    np.testing.assert_allclose(student_nll(ERRORS, found), -t(2 * alpha, 0, scale).logpdf(ERRORS), rtol=1e-10)


def test_moments_of_the_evidence():
    """Draws from the distribution that the parameters describe have the variances that are said of it."""
    nu, alpha, beta = 2.0, 6.0, 0.5
    random = np.random.default_rng(0)
    variances = 1 / random.gamma(alpha, 1 / beta, size=400_000)
    means = random.normal(scale=np.sqrt(variances / nu))
    found = Evidence(*(torch.tensor(v) for v in (nu, alpha, beta)))
    assert found.aleatoric.item() == pytest.approx(variances.mean(), rel=0.01)
    assert found.epistemic.item() == pytest.approx(means.var(), rel=0.02)


def test_the_variance_of_most_likelihood_is_that_of_the_errors():
    head = torch.zeros(1, 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([head], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = gaussian_nll(ERRORS, variance(head.expand(40, 1))).mean()
        value.backward()
        return value

    optimizer.step(closure)
    assert variance(head).item() == pytest.approx(ERRORS.square().mean().item(), rel=1e-3)


@pytest.mark.parametrize("loss", [MeanVarianceLoss(beta=0), MeanVarianceLoss(beta=0.5), MeanVarianceLoss(beta=1)])
def test_the_value_is_the_likelihood_whatever_the_weights(loss):
    head = outputs(1)
    assert loss(ERRORS, head).item() == pytest.approx(gaussian_nll(ERRORS, variance(head)).mean().item())


def gradients(loss, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    errors, head = ERRORS.clone().requires_grad_(True), outputs(n).requires_grad_(True)
    return torch.autograd.grad(loss(errors, head), (errors, head))


def test_beta_one_learns_forces_as_the_mean_square_error_does():
    by_errors, _ = gradients(MeanVarianceLoss(beta=1), 1)
    np.testing.assert_allclose(by_errors, 2 * ERRORS / ERRORS.numel(), rtol=1e-10)


def test_beta_zero_is_the_gradient_of_the_likelihood_but_for_one_factor():
    torch.manual_seed(0)
    errors, head = ERRORS.clone().requires_grad_(True), outputs(1).requires_grad_(True)
    plain = torch.autograd.grad(gaussian_nll(errors, variance(head)).mean(), (errors, head))
    scaled = torch.autograd.grad(MeanVarianceLoss(beta=0)(errors, head), (errors, head))
    factor = 2 * variance(head).mean().item()
    for one, other in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(other, factor * one, rtol=1e-10)


def test_evidence_for_wrong_forces_costs():
    few, much = (torch.full((40, 3), v, dtype=torch.float64) for v in (-1.0, 3.0))
    cheap, dear = (EvidentialLoss(regularisation=r) for r in (0.0, 5.0))
    wrong = ERRORS * 10
    assert dear(wrong, much) - cheap(wrong, much) > dear(wrong, few) - cheap(wrong, few) > 0


def test_uncertainties_are_deviations_of_forces():
    head = outputs(1)
    np.testing.assert_allclose(MeanVariance().score(head, torch.ones(40)), variance(head).sqrt())
    three = outputs(3)
    np.testing.assert_allclose(Evidential().score(three, torch.ones(40)).square(), evidence(three).epistemic)


@pytest.mark.parametrize("at", [-40.0, 40.0])
def test_extreme_outputs_stay_finite(at):
    for loss, n in ((MeanVarianceLoss(beta=0.5), 1), (EvidentialLoss(regularisation=0.2), 3)):
        head = outputs(n, at).float().requires_grad_(True)
        value = loss(ERRORS.float(), head)
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(head.grad).all()
