"""A bundle: one folder that holds a potential, its uncertainty and what they mean."""

from __future__ import annotations

import hashlib
import json
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

import uqcv
from uqcv.errors import BundleError, InputError
from uqcv.files import read_json, write_json
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.potential import Potential
from uqcv.uncertainty.calibration import ConformalCalibration
from uqcv.uncertainty.gmm import GMMSettings, GMMUncertainty
from uqcv.uncertainty.pooling import PoolingSettings

FORMAT_VERSION = 3
SETTINGS_FILE = "bundle.json"
WEIGHTS_FILE = "weights.pt"
MAD_TO_DEVIATION = 1.4826  # of a normal distribution
UNITS = {"length": "Å", "energy": "eV", "force": "eV/Å", "uncertainty": "1"}


class Distribution(BaseModel):
    """How a pooled uncertainty is spread: over the training frames, and over held-out frames.

    Attributes
    ----------
    training_mean, training_deviation
        Over the frames that the mixture was fitted on.
    held_out
        Values on the calibration frames, sorted.
    calibration
        From the pooled uncertainty to the mean force error of a frame, eV/Å.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    training_mean: float
    training_deviation: float
    held_out: tuple[float, ...]
    calibration: ConformalCalibration

    def quantile(self, share: float) -> float:
        """Return the value that a `share` of the held-out frames does not exceed."""
        return float(np.quantile(self.held_out, share))

    @property
    def deviation(self) -> float:
        """Spread of usual held-out frames: 1.4826 times the median absolute deviation.

        It is the standard deviation of a normal distribution, but the few strange frames that join the held-out
        set in later generations do not widen it. A hill must be as wide as thermal fluctuations, not as the search.
        """
        values = np.asarray(self.held_out)
        robust = MAD_TO_DEVIATION * float(np.median(np.abs(values - np.median(values))))
        return robust or float(values.std())


class BundleSettings(BaseModel):
    """All of a bundle that is not a tensor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    elements: tuple[int, ...]
    potential: PaiNNSettings
    uncertainty: GMMSettings
    pooling: PoolingSettings
    standard_mean: float
    standard_deviation: float
    distributions: dict[str, Distribution]
    atom_calibration: ConformalCalibration
    reference_numbers: tuple[int, ...]
    reference_pbc: tuple[bool, bool, bool]
    lowest_energy: float
    provenance: dict[str, Any]

    @property
    def frame_calibration(self) -> ConformalCalibration:
        """From the mean uncertainty to the mean force error of a frame, eV/Å."""
        return self.distributions["mean"].calibration


class Bundle:
    """A fitted potential with its uncertainty.

    Parameters
    ----------
    settings
        Everything but tensors.
    potential
        The network.
    uncertainty
        The fitted mixture.
    """

    def __init__(self, settings: BundleSettings, potential: Potential, uncertainty: GMMUncertainty) -> None:
        self.settings = settings
        self.potential = potential
        self.uncertainty = uncertainty

    @cached_property
    def hash(self) -> str:
        """Content hash: of every tensor and every setting that changes a value, not of where it came from."""
        settings = self.settings.model_dump(mode="json", exclude={"provenance"})
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for name, tensor in sorted(self._tensors().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def short_hash(self) -> str:
        """First twelve characters of the hash: what names the CV."""
        return self.hash[:12]

    def _tensors(self) -> dict[str, Tensor]:
        parts = {"potential": self.potential.state_dict(), "uncertainty": self.uncertainty.state_dict()}
        return {f"{p}.{k}": v for p, state in parts.items() for k, v in state.items() if isinstance(v, Tensor)}

    def save(self, folder: Path) -> Path:
        """Write the bundle; an earlier one in its place is replaced only when the new one is whole."""
        folder = Path(folder)
        temporary = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        with open(temporary / WEIGHTS_FILE, "wb") as handle:
            torch.save({"potential": self.potential.state_dict(), "uncertainty": self.uncertainty.state_dict()}, handle)
        header = {"format_version": FORMAT_VERSION, "uqcv": uqcv.__version__, "hash": self.hash, "units": UNITS}
        write_json(temporary / SETTINGS_FILE, header | {"settings": self.settings.model_dump(mode="json")})
        before = folder.with_name(f".{folder.name}.before")
        shutil.rmtree(before, ignore_errors=True)
        if folder.is_dir():
            folder.rename(before)
        temporary.rename(folder)
        shutil.rmtree(before, ignore_errors=True)
        return folder

    @classmethod
    def load(cls, folder: Path) -> Bundle:
        """Read a bundle; nothing in it is executed.

        Raises
        ------
        BundleError
            If it is missing, of another format version, incomplete, or its content does not match its hash.
        """
        folder = Path(folder)
        if not (folder / SETTINGS_FILE).is_file():
            raise BundleError(f"{folder}: not a bundle (no {SETTINGS_FILE}); give a folder that `uqcv fit` wrote")
        header = _read_header(folder)
        _require_version(folder, header)
        try:
            settings = BundleSettings.model_validate(header["settings"])
            states = torch.load(folder / WEIGHTS_FILE, weights_only=True)
            bundle = cls(settings, *_rebuild(settings, states))
        except (ValidationError, KeyError, RuntimeError, OSError, ValueError, EOFError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise BundleError(f"{folder}: incomplete or damaged ({reason}); export or fit it again") from error
        except Exception as error:  # unpickling errors have no common base
            raise BundleError(f"{folder}: {WEIGHTS_FILE} is not a file of weights; fit the bundle again") from error
        if bundle.hash != header.get("hash"):
            raise BundleError(
                f"{folder}: content has hash {bundle.short_hash}, its header says {str(header.get('hash'))[:12]}; "
                "it was altered after it was written, fit it again"
            )
        return bundle


def _read_header(folder: Path) -> Any:
    try:
        return read_json(folder / SETTINGS_FILE)
    except InputError as error:
        raise BundleError(str(error)) from error


def _require_version(folder: Path, header: Any) -> None:
    version = header.get("format_version") if isinstance(header, dict) else None
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{folder}: bundle format {version} was given; this uqcv reads format {FORMAT_VERSION}: fit it again"
        )


def _rebuild(settings: BundleSettings, states: dict[str, Any]) -> tuple[Potential, GMMUncertainty]:
    potential = Potential(settings.elements, settings.potential)
    potential.load_state_dict(states["potential"])
    return potential.eval(), GMMUncertainty.from_state(settings.uncertainty, states["uncertainty"])
