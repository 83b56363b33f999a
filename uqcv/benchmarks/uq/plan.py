"""All that decides about the result of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from uqcv.benchmarks.uq.data import Source
from uqcv.errors import InputError
from uqcv.potentials.devices import require_device
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.settings import TrainingSettings
from uqcv.uncertainty.settings import METHODS, Method, UncertaintySettings


@dataclass(frozen=True)
class Plan:
    """All that decides about the result.

    Attributes
    ----------
    source
        The data.
    training_sizes
        Numbers of training frames.
    held_out
        Sizes of validation, calibration and test, None where it is not said.
    seeds
        How many; of splits, networks and mixtures.
    methods
        Which uncertainties.
    architecture, training, uncertainty
        Settings.
    """

    source: Source
    training_sizes: tuple[int, ...]
    held_out: dict[str, int | None]
    seeds: int
    methods: tuple[Method, ...]
    architecture: PaiNNSettings
    training: TrainingSettings
    uncertainty: UncertaintySettings

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values, but for what hangs on the data."""
        source = {key: _plain(value) for key, value in asdict(self.source).items()}
        groups = {
            name: getattr(self, name).model_dump(mode="json") for name in ("architecture", "training", "uncertainty")
        }
        return {"source": source, "seeds": self.seeds, "methods": list(self.methods), **groups}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [str(v) for v in value]
    return None if value is None else str(value)


def require_no_method(overrides: Mapping[str, Any]) -> None:
    """Refuse a setting that says which uncertainty, since all that are compared have theirs.

    Raises
    ------
    InputError
        Advising `--only`.
    """
    group = overrides.get("uncertainty")
    if "uncertainty.method" in overrides or (isinstance(group, dict) and "method" in group):
        raise InputError("--set uncertainty.method was given; uncertainties to compare are chosen by --only")


def make_plan(
    source: Source,
    training_sizes: Sequence[int],
    held_out: dict[str, int | None],
    seeds: int,
    only: Sequence[str],
    settings: Mapping[str, Any],
) -> Plan:
    """Return a plan from what was typed.

    Raises
    ------
    InputError
        For a method or a device that is not there, or half of a pair of options.
    """
    if unknown := [method for method in only if method not in METHODS]:
        raise InputError(f"--only {unknown[0]} was given; choose from {', '.join(METHODS)}")
    pairs = (("--domain-key", source.domain_key, "--train-on", source.domain),)
    for one, first, other, second in pairs:
        if (first is None) != (second is None):
            raise InputError(f"{one} and {other} belong together; give both or none")
    if source.test_index is not None and source.train_index is None:
        raise InputError("--test-index was given without --train-index; give both")
    training = settings["training"]
    require_device(training.device, "training.device")
    chosen: tuple[Method, ...] = tuple(method for method in METHODS if not only or method in only)
    return Plan(
        source, tuple(sorted(set(training_sizes))), held_out, seeds, chosen,
        settings["potential"], training, settings["uncertainty"],
    )  # fmt: skip
