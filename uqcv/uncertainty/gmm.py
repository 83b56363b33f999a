"""Gaussian mixtures on latent features: the negative log-likelihood as an uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from uqcv.errors import InputError, UnknownElementError
from uqcv.uncertainty.atomic import AtomicUncertainty

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

BIC_CANDIDATES = (1, 2, 3, 5, 8, 12, 18)
MOST_COMPONENTS = 10


class GMMSettings(BaseModel):
    """How the mixture is fitted."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n_components: Annotated[int, Field(ge=1)] | Literal["auto", "bic"] = Field(
        "auto",
        description="Gaussians per mixture; auto: 10, or fewer if each would have fewer atoms than it sees features; "
        "bic: chosen by BIC",
    )
    per_element: bool = Field(False, description="one mixture per element instead of one over all atoms")
    regularisation: float = Field(
        1e-3, gt=0, description="added to the diagonal of each covariance, as a share of the mean feature variance"
    )
    max_iterations: int = Field(200, ge=1, description="most iterations of expectation maximisation")
    sees: Literal["features", "directions"] = Field(
        "features",
        description="features: all latent features, which ranks force errors best; directions: only those in which "
        "structures differ more than they vibrate, for a bias that shall change structures",
    )
    neighbourhood: float | None = Field(
        2.5,
        gt=0,
        description="radius, Å, at most the cutoff: an atom's uncertainty is the mean over its neighbours, whose "
        "energies its force is made of; null: its own alone",
    )


class Mixture(nn.Module):
    """One Gaussian mixture as tensors.

    Parameters
    ----------
    log_weights
        log w_k, shape (k,).
    means
        mu_k, shape (k, f).
    precisions_cholesky
        Upper triangular P_k with P_k P_k^T = Sigma_k^-1, shape (k, f, f), as in scikit-learn.
    """

    def __init__(self, log_weights: Tensor, means: Tensor, precisions_cholesky: Tensor) -> None:
        super().__init__()
        self.log_weights: Tensor
        self.means: Tensor
        self.precisions_cholesky: Tensor
        self.register_buffer("log_weights", log_weights)
        self.register_buffer("means", means)
        self.register_buffer("precisions_cholesky", precisions_cholesky)
        # What follows from them, so that all components are whitened by one matrix product: means are taken from
        # the centre of all, or single precision would lose digits in a difference of large numbers.
        self._centre: Tensor
        self._whitening: Tensor
        self._whitened_means: Tensor
        self._constants: Tensor
        k, f = means.shape
        centre = means.mean(dim=0)
        half_log_det = precisions_cholesky.diagonal(dim1=1, dim2=2).log().sum(dim=1)
        constants = log_weights + half_log_det - 0.5 * f * math.log(2 * math.pi)
        whitened = torch.bmm((means - centre)[:, None], precisions_cholesky)
        self.register_buffer("_centre", centre, persistent=False)
        self.register_buffer("_whitening", precisions_cholesky.transpose(0, 1).reshape(f, k * f), persistent=False)
        self.register_buffer("_whitened_means", whitened.flatten(), persistent=False)
        self.register_buffer("_constants", constants, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return -log sum_k w_k N(x; mu_k, Sigma_k) for features of shape (n, f); shape (n,)."""
        whitened = (features - self._centre) @ self._whitening - self._whitened_means
        squares = whitened.unflatten(1, self.means.shape).square().sum(dim=2)
        return -torch.logsumexp(self._constants - 0.5 * squares, dim=1)


class GMMUncertainty(AtomicUncertainty):
    """Negative log-likelihood of per-atom features under Gaussian mixtures.

    U_i = -log sum_k w_k N(x_i; mu_k, Sigma_k): Zhu et al., doi 10.1063/5.0136574; as a collective variable Tan,
    Dietschreit & Gómez-Bombarelli, doi 10.1063/5.0246178.

    Parameters
    ----------
    settings
        Components, regularisation, one mixture per element or one over all.

    Attributes
    ----------
    elements_
        Atomic numbers seen in the fit.
    n_components_
        Components of each mixture.
    projection
        Directions that the mixtures see, shape (f, d), or None for all features.
    """

    speaks_of = "features"

    def __init__(self, settings: GMMSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or GMMSettings()
        self.neighbourhood = self.settings.neighbourhood
        self.mixtures = nn.ModuleDict()
        self.projection: Tensor | None
        self.register_buffer("projection", None)
        self.elements_: tuple[int, ...] = ()
        self.n_components_: dict[str, int] = {}

    def fit(
        self, features: NDArray, numbers: NDArray, seed: int = 0, projection: NDArray | None = None
    ) -> GMMUncertainty:
        """Fit the mixtures.

        Parameters
        ----------
        features
            Shape (n, f).
        numbers
            Atomic numbers, shape (n,).
        seed
            Of the initial assignment by k-means.
        projection
            Directions that the mixtures see, one per column, shape (f, d); without it they see the features.

        Raises
        ------
        InputError
            If there are fewer atoms than components, or a feature is not finite.
        """
        features = np.asarray(features, dtype=np.float64)
        if not np.isfinite(features).all():
            raise InputError("features: NaN or infinity was given; retrain the potential before fitting")
        self.elements_ = tuple(sorted({int(z) for z in numbers}))
        self.projection = None if projection is None else torch.as_tensor(projection)
        features = features if projection is None else features @ projection
        for key, members in self._groups(np.asarray(numbers)).items():
            mixture = _fit_mixture(features[members], self.settings, seed, key)
            self.n_components_[key] = int(mixture.n_components)
            parts = (np.log(mixture.weights_), mixture.means_, mixture.precisions_cholesky_)
            self.mixtures[key] = Mixture(*map(torch.as_tensor, parts))
        return self

    def _groups(self, numbers: NDArray) -> dict[str, NDArray[np.bool_]]:
        if not self.settings.per_element:
            return {"all": np.ones(len(numbers), dtype=bool)}
        return {str(z): numbers == z for z in self.elements_}

    def members(self, numbers: Tensor) -> dict[str, Tensor]:
        """Return for each mixture the indices of its atoms; the same for all positions of a system.

        Raises
        ------
        UnknownElementError
            If an element was not in the fit.
        """
        self.require_elements(numbers.tolist())
        if not self.settings.per_element:
            return {"all": torch.arange(len(numbers), device=numbers.device)}
        found = {key: torch.nonzero(numbers == int(key))[:, 0] for key in self.mixtures}
        return {key: indices for key, indices in found.items() if len(indices)}

    def projected(self, features: Tensor) -> Tensor:
        """Return what the mixtures see of the features (n, f): shape (n, d), or the features themselves."""
        return features if self.projection is None else features @ self.projection

    def score_members(self, inputs: Tensor, members: dict[str, Tensor]) -> Tensor:
        """See `AtomicUncertainty`; `inputs` are latent features; natural logarithm, no unit."""
        features = self.projected(inputs)
        if not self.settings.per_element:
            return self.mixtures["all"](features)
        scores = features.new_zeros(len(features))
        for key, indices in members.items():
            scores = scores.index_copy(0, indices, self.mixtures[key](features.index_select(0, indices)))
        return scores

    def require_elements(self, numbers: Sequence[int]) -> None:
        """Refuse elements that the mixture has never seen."""
        unknown = sorted(set(numbers) - set(self.elements_))
        if unknown:
            raise UnknownElementError(
                f"elements with atomic numbers {unknown} were given; the mixture knows {list(self.elements_)}"
            )

    def get_extra_state(self) -> dict[str, object]:
        """Return what is fitted beside the tensors."""
        return {"elements": list(self.elements_), "n_components": dict(self.n_components_)}

    def set_extra_state(self, state: dict) -> None:
        """Restore what `get_extra_state` gave."""
        self.elements_ = tuple(state["elements"])
        self.n_components_ = dict(state["n_components"])

    @classmethod
    def from_state(cls, settings: GMMSettings, state: dict[str, Tensor]) -> GMMUncertainty:
        """Rebuild a fitted mixture from its settings and its `state_dict`."""
        uncertainty = cls(settings)
        uncertainty.projection = state.get("projection")
        for key in sorted({name.split(".")[1] for name in state if name.startswith("mixtures.")}):
            parts = [state[f"mixtures.{key}.{n}"] for n in ("log_weights", "means", "precisions_cholesky")]
            uncertainty.mixtures[key] = Mixture(*parts)
        uncertainty.load_state_dict(state)
        return uncertainty


def _wanted(settings: GMMSettings, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the numbers of components to try for features of this shape."""
    if settings.n_components == "bic":
        return BIC_CANDIDATES
    if settings.n_components == "auto":
        return (max(1, min(MOST_COMPONENTS, shape[0] // shape[1])),)
    return (settings.n_components,)


def _fit_mixture(features: NDArray, settings: GMMSettings, seed: int, name: str) -> GaussianMixture:
    from sklearn.mixture import GaussianMixture  # takes a second, which evaluation does not need

    candidates = [k for k in _wanted(settings, features.shape) if k <= len(features) // 2]
    if not candidates:
        raise InputError(
            f"mixture {name}: {len(features)} atoms were given for {settings.n_components} components; "
            "at least twice as many atoms as components are expected"
        )
    regularisation = settings.regularisation * float(features.var(axis=0).mean())

    def fitted(n_components: int) -> GaussianMixture:
        return GaussianMixture(
            n_components,
            covariance_type="full",
            reg_covar=max(regularisation, 1e-12),
            max_iter=settings.max_iterations,
            random_state=seed,
        ).fit(features)

    mixtures = [fitted(k) for k in candidates]
    return mixtures[0] if len(mixtures) == 1 else min(mixtures, key=lambda m: m.bic(features))
