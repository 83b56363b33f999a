"""From the measures of campaigns to the rows of a study's tables: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Measures = Mapping[str, Any]
Seeds = Mapping[int, Measures]
BUDGETS = ("labels", "steps", "evaluations")


@dataclass(frozen=True)
class Spread:
    """A value over seeds, shown with three significant digits or more of the largest.

    >>> print(Spread.of([1.0, 2.0, 6.0]))
    3.00 (1.00-6.00)
    >>> print(Spread.of([90.0, 110.0]))
    100 (90-110)
    """

    mean: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return mean and range."""
        return cls(float(np.mean(values)), float(np.min(values)), float(np.max(values)))

    def __str__(self) -> str:
        if not np.isfinite(self.mean):
            return "-"
        digits = sum(abs(self.most) <= limit for limit in (10, 100))
        if self.least == self.most:
            return f"{self.mean:.0f}" if self.mean == round(self.mean) else f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} ({self.least:.{digits}f}-{self.most:.{digits}f})"

    def signed(self) -> str:
        """Return mean and range of differences; `-` if one is not known.

        >>> Spread.of([-2.0, -1.0, 3.0]).signed()
        '+0.0 (-2.0 to +3.0)'
        """
        if not np.isfinite(self.mean):
            return "-"
        mean = f"{self.mean:+z.1f}"
        return mean if self.least == self.most else f"{mean} ({self.least:+z.1f} to {self.most:+z.1f})"


def last(measures: Measures) -> dict[str, Any]:
    """Return the measures of the last generation."""
    return dict(measures["generations"][-1])


def at_budget(measures: Measures, budget: str, limit: float) -> dict[str, Any] | None:
    """Return the measures of the last generation that had spent no more, or None if even the first had."""
    affordable = [row for row in measures["generations"] if row[budget] <= limit]
    return dict(affordable[-1]) if affordable else None


def labels_to_cover(measures: Measures, share: float, n_relevant: int) -> float:
    """Return how many labels it took until they covered a share of the relevant bins; infinity if they never did."""
    reached = np.flatnonzero(np.asarray(measures["covered"]) / n_relevant >= share)
    return float(reached[0]) if len(reached) else float("inf")


def most_labels(measures: Measures) -> int:
    """Return how many labels a campaign asked for in all."""
    return len(measures["covered"]) - 1


def coverage_after(measures: Measures, labels: float, n_relevant: int) -> float:
    """Return the share of the relevant bins that hold an initial frame or one of the first `labels`."""
    return float(measures["covered"][int(min(labels, most_labels(measures)))]) / n_relevant


def over_seeds(seeds: Seeds, value: Any) -> Spread:
    """Return the spread of what `value` gives of each campaign."""
    return Spread.of([value(measures) for measures in seeds.values()])


def median_labels(seeds: Seeds, share: float, n_relevant: int) -> float:
    """Return the median over seeds of the labels to cover a share; infinity if it is not known."""
    needed = sorted(labels_to_cover(m, share, n_relevant) for m in seeds.values())
    return float(np.mean(needed[(len(needed) - 1) // 2 : len(needed) // 2 + 1]))


def fewest_in_vain(seeds: Seeds, share: float, n_relevant: int) -> int:
    """Return the fewest labels of a campaign that did not cover a share, 0 if all did."""
    in_vain = [most_labels(m) for m in seeds.values() if np.isinf(labels_to_cover(m, share, n_relevant))]
    return min(in_vain, default=0)


def reach(seeds: Seeds, share: float, n_relevant: int) -> str:
    """Return the labels to cover a share, over seeds: their median and range.

    Campaigns that ended before stand as `> labels`, with the fewest labels that one of them was given.
    """
    beyond = f"> {fewest_in_vain(seeds, share, n_relevant)}"

    def word(value: float) -> str:
        return f"{value:.0f}" if np.isfinite(value) else beyond

    needed = [labels_to_cover(m, share, n_relevant) for m in seeds.values()]
    least, most = word(min(needed)), word(max(needed))
    return least if least == most else f"{word(median_labels(seeds, share, n_relevant))} ({least} to {most})"


def times_as_many(seeds: Seeds, base: Seeds, share: float, n_relevant: int) -> str:
    """Return how many times as many labels as `base` it took to cover a share, by medians over seeds.

    `> ratio` with the fewest labels that were not enough; `-` if `base` did not get there either, or needed none.
    """
    own, others = (median_labels(each, share, n_relevant) for each in (seeds, base))
    if not np.isfinite(others) or others == 0:
        return "-"
    if np.isinf(own):
        return f"> {fewest_in_vain(seeds, share, n_relevant) / others:.1f}"
    return f"{own / others:.1f}"
