"""Variants of the mixture on the networks of a comparison, beside the ensemble: what was tried, and what wins.

    uqcv benchmark uq ... --out runs/uq
    python -m benchmarks.gmm_variants runs/uq/train-50 [runs/uq/train-200 ...] --tests "in domain"

Prints a table of mean ± standard deviation over seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp
from sklearn.mixture import GaussianMixture

from uqcv.benchmarks.uq.places import test_place
from uqcv.benchmarks.uq.scores import read_calibration, read_tested
from uqcv.benchmarks.uq.statistics import judge
from uqcv.benchmarks.uq.tables import markdown
from uqcv.colvars.features import evaluation_graphs, latent_features, vibrational_covariance
from uqcv.potentials.potential import Potential
from uqcv.potentials.storage import load_potential
from uqcv.structures import Structure, read_structures
from uqcv.uncertainty.discriminant import discriminant_directions
from uqcv.uncertainty.gmm import BIC_CANDIDATES, MOST_COMPONENTS

Floats = NDArray[np.float64]
METRICS = ("raw_atom_spearman", "atom_spearman", "atom_auc80", "frame_spearman", "frame_auc80", "nll")


@dataclass(frozen=True)
class Variant:
    """A mixture.

    Attributes
    ----------
    components, regularisation
        As in the settings; 0 components: as "auto" says; -1: chosen by BIC.
    directions
        Of the discriminant; 0: all features.
    neighbourhood
        Radius of the mean, Å; 0: none.
    by_element
        Whether each element has a mixture, standardised over its own training atoms.
    freedom
        Degrees of freedom of Student tails; 0: Gaussian.
    layers
        Whether features of all layers are seen, not only of the last.
    transform
        Of the standardised scores before the mean over a frame.
    """

    components: int = 0
    regularisation: float = 1e-3
    directions: int = 0
    neighbourhood: float = 2.5
    by_element: bool = False
    freedom: float = 0
    layers: bool = False
    transform: str = "none"


VARIANTS = {
    "before: 16 directions, each atom alone": Variant(directions=16, neighbourhood=0),
    "16 directions": Variant(directions=16),
    "32 directions": Variant(directions=32),
    "all features, each atom alone": Variant(neighbourhood=0),
    "all features, 1.8 Å": Variant(neighbourhood=1.8),
    "all features, 2.5 Å (default)": Variant(),
    "all features, 3.4 Å": Variant(neighbourhood=3.4),
    "1 component (Mahalanobis)": Variant(components=1),
    "3 components": Variant(components=3),
    "30 components": Variant(components=30),
    "10 components": Variant(components=10),
    "BIC": Variant(components=-1),
    "regularisation 1e-2": Variant(regularisation=1e-2),
    "regularisation 1e-4": Variant(regularisation=1e-4),
    "regularisation 1e-5": Variant(regularisation=1e-5),
    "a mixture for each element": Variant(by_element=True),
    "a mixture for each element, each atom alone": Variant(by_element=True, neighbourhood=0),
    "Student tails, 4 degrees": Variant(freedom=4),
    "features of all layers": Variant(layers=True),
    "features of all layers, 1 component": Variant(layers=True, components=1),
    "log transform": Variant(transform="log"),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="train-N folders of comparisons, with seed-* in them")
    parser.add_argument("--tests", nargs="+", default=["in domain"], help="test sets, taken together")
    options = parser.parse_args()
    for folder in options.folders:
        print(f"\n{folder}, {', '.join(options.tests)}\n\n{table(folder, options.tests)}", flush=True)


def table(folder: Path, tests: Sequence[str]) -> str:
    """Return the table of one size of the training set."""
    found: dict[str, list[dict[str, float]]] = {}
    for split in sorted(folder.glob("seed-*")):
        for method in ("ensemble", "last_layer"):
            if (split / "methods" / method / "cost.json").is_file():
                place = split / "methods" / method
                found.setdefault(method, []).append(judge(read_calibration(place), read_tested(place, tests)))
        data = Split(split, tests)
        for name, variant in VARIANTS.items():
            found.setdefault(name, []).append(data.judged(variant))
    rows = []
    for name, metrics in found.items():
        values = np.array([[row[metric] for metric in METRICS] for row in metrics])
        rows.append((name, *(f"{m:.3f} ± {s:.3f}" for m, s in zip(values.mean(0), values.std(0), strict=True))))
    return markdown(("variant", *METRICS), rows)


class Split:
    """Features of one split, computed once.

    Parameters
    ----------
    folder
        Of the split.
    tests
        Names of the test sets.
    """

    def __init__(self, folder: Path, tests: Sequence[str]) -> None:
        self._potential = load_potential(folder / "networks" / "plain.pt")
        place = folder / "methods" / "gmm"
        self._known, self._test = read_calibration(place), read_tested(place, tests)
        self._training = read_structures(folder / "training.extxyz")
        self._frames = [
            read_structures(folder / "calibration.extxyz"),
            [s for test in tests for s in read_structures(test_place(folder, test, ".extxyz"))],
        ]
        self._features: dict[bool, list[Floats]] = {}

    def judged(self, variant: Variant) -> dict[str, float]:
        """Return all metrics of a variant."""
        training, *others = self._features_of(variant.layers)
        numbers = [np.concatenate([s.numbers for s in part]) for part in (self._training, *self._frames)]
        if variant.directions:
            vibration = vibrational_covariance(self._potential, self._training, np.random.default_rng(0))
            directions = discriminant_directions(training, vibration, variant.directions)
            training, *others = (x @ directions for x in (training, *others))
        score = fitted(training, numbers[0], variant)
        judged = []
        for features, z, frames, scores in zip(
            others, numbers[1:], self._frames, (self._known, self._test), strict=True
        ):
            atomic = smoothed(score(features, z), frames, variant.neighbourhood)
            if variant.transform == "log":
                atomic = np.log1p(np.logaddexp(0.0, atomic))
            starts = np.concatenate([[0], np.cumsum(scores.counts)[:-1]])
            judged.append(replace(scores, atomic=atomic, pooled=np.add.reduceat(atomic, starts) / scores.counts))
        return judge(*judged)

    def _features_of(self, layers: bool) -> list[Floats]:
        if layers not in self._features:
            look = all_layers if layers else latent_features
            self._features[layers] = [look(self._potential, part) for part in (self._training, *self._frames)]
        return self._features[layers]


def all_layers(potential: Potential, structures: Sequence[Structure]) -> Floats:
    """Return the scalars after each layer, side by side, shape (n, layers f)."""
    seen: list[torch.Tensor] = []
    hooks = [u.register_forward_hook(lambda _, given, out: seen.append(given[0] + out[0]))
             for u in potential.representation.updates]  # fmt: skip
    blocks = []
    with torch.no_grad():
        for graph in evaluation_graphs(potential, structures):
            seen.clear()
            potential(graph)
            blocks.append(torch.cat(seen, dim=1).double())
    for hook in hooks:
        hook.remove()
    return torch.cat(blocks).numpy()


def fitted(features: Floats, numbers: NDArray, variant: Variant) -> Callable[[Floats, NDArray], Floats]:
    """Return the function from features and atomic numbers to standardised scores."""
    groups = {z: numbers == z for z in np.unique(numbers)} if variant.by_element else {0: np.full(len(numbers), True)}
    mixtures = {z: one_mixture(features[own], variant) for z, own in groups.items()}
    known = {z: likelihood(mixtures[z], features[own], variant.freedom) for z, own in groups.items()}

    def score(x: Floats, z: NDArray) -> Floats:
        result = np.zeros(len(x))
        for element, mixture in mixtures.items():
            own = z == element if variant.by_element else np.full(len(z), True)
            result[own] = likelihood(mixture, x[own], variant.freedom) - known[element].mean()
            result[own] /= known[element].std()
        return result

    return score


def one_mixture(features: Floats, variant: Variant) -> GaussianMixture:
    """Fit a mixture; fewer components where there are few atoms."""

    def fit(k: int) -> GaussianMixture:
        floor = max(variant.regularisation * features.var(axis=0).mean(), 1e-12)
        k = min(k, max(1, len(features) // 2))
        return GaussianMixture(k, reg_covar=floor, max_iter=200, random_state=0).fit(features)

    if variant.components == 0:
        return fit(max(1, min(MOST_COMPONENTS, len(features) // features.shape[1])))
    if variant.components > 0:
        return fit(variant.components)
    return min((fit(k) for k in BIC_CANDIDATES), key=lambda mixture: mixture.bic(features))


def likelihood(mixture: GaussianMixture, x: Floats, freedom: float) -> Floats:
    """Return the negative log-likelihood, with Student tails of the same scale matrices if `freedom` is given."""
    if not freedom:
        return -mixture.score_samples(x)
    d, parts = x.shape[1], []
    for weight, mean, factor in zip(mixture.weights_, mixture.means_, mixture.precisions_cholesky_, strict=True):
        squares = (((x - mean) @ factor) ** 2).sum(axis=1)
        constant = gammaln((freedom + d) / 2) - gammaln(freedom / 2) - 0.5 * d * np.log(freedom * np.pi)
        log_det = np.log(np.diagonal(factor)).sum()
        parts.append(np.log(weight) + constant + log_det - 0.5 * (freedom + d) * np.log1p(squares / freedom))
    return np.asarray(-logsumexp(parts, axis=0))


def smoothed(values: Floats, frames: Sequence[Structure], radius: float) -> Floats:
    """Return means over neighbourhoods of atoms, for molecules."""
    if not radius:
        return values
    parts = np.split(values, np.cumsum([len(s) for s in frames])[:-1])
    result = []
    for own, frame in zip(parts, frames, strict=True):
        distances = np.linalg.norm(frame.positions[:, None] - frame.positions, axis=2)
        weights = np.where(distances < radius, 0.5 * (1 + np.cos(np.pi * distances / radius)), 0.0)
        result.append(weights @ own / weights.sum(axis=1))
    return np.concatenate(result)


if __name__ == "__main__":
    main()
