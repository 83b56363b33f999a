"""A bundle: one folder that holds a potential, its uncertainty and what they mean."""

from __future__ import annotations

import hashlib
import json
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

import uqcv
from uqcv.colvars.model_state import model_from_state
from uqcv.colvars.models import Model
from uqcv.errors import BundleError, InputError
from uqcv.files import read_json, write_json
from uqcv.folders import make_folders, remove_empty, sync_folder, writing
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.potential import Potential
from uqcv.potentials.storage import read_tensors, save_tensors
from uqcv.uncertainty.curves import Calibration, ElementCalibration
from uqcv.uncertainty.pooling import PoolingSettings
from uqcv.uncertainty.settings import UncertaintySettings

FORMAT_VERSION = 4
SETTINGS_FILE = "bundle.json"
WEIGHTS_FILE = "weights.pt"
MAD_TO_DEVIATION = 1.4826  # of a normal distribution
UNITS = {"length": "Å", "energy": "eV", "force": "eV/Å", "uncertainty": "1"}


class Distribution(BaseModel):
    """How a pooled uncertainty is spread: over the training frames, and over held-out frames.

    Attributes
    ----------
    training_mean, training_deviation
        Over the frames that the uncertainty was fitted on.
    held_out
        Values on the calibration frames, sorted.
    calibration
        From the pooled uncertainty to the mean force error of a frame, eV/Å.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    training_mean: float
    training_deviation: float
    held_out: tuple[float, ...]
    calibration: Calibration

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
    uncertainty: UncertaintySettings
    standard_mean: float
    standard_deviation: float
    distributions: dict[str, Distribution]
    atom_calibration: ElementCalibration
    reference_numbers: tuple[int, ...]
    reference_pbc: tuple[bool, bool, bool]
    lowest_energy: float
    provenance: dict[str, Any]

    @property
    def pooling(self) -> PoolingSettings:
        """From atoms to the system."""
        return self.uncertainty.pooling

    @property
    def frame_calibration(self) -> Calibration:
        """From the mean uncertainty to the mean force error of a frame, eV/Å."""
        return self.distributions["mean"].calibration


class Bundle:
    """A fitted potential with its uncertainty.

    Parameters
    ----------
    settings
        Everything but tensors.
    model
        The network or networks, with their uncertainty.
    """

    def __init__(self, settings: BundleSettings, model: Model) -> None:
        self.settings = settings
        self.model = model

    @property
    def potential(self) -> Potential:
        """The network, or the first of several."""
        return self.model.potential

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
        return {name: value for name, value in self.model.state_dict().items() if isinstance(value, Tensor)}

    def save(self, folder: Path) -> Path:
        """Write the bundle; an earlier one in its place is replaced only when the new one is whole.

        Raises
        ------
        InputError
            If something else than a bundle lies in its place: it would be lost.
        OutputError
            If the system refuses to write.
        """
        folder = Path(folder)
        require_replaceable(folder)
        temporary = folder.with_name(f".{folder.name}.partial")
        with writing(folder):
            shutil.rmtree(temporary, ignore_errors=True)
            new = make_folders(temporary)
        try:
            with writing(folder):
                self._write(temporary)
                _replace(folder, temporary)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            remove_empty(new)
            raise
        return folder

    def _write(self, folder: Path) -> None:
        save_tensors(self.model.state_dict(), folder / WEIGHTS_FILE)
        header = {"format_version": FORMAT_VERSION, "uqcv": uqcv.__version__, "hash": self.hash, "units": UNITS}
        write_json(folder / SETTINGS_FILE, header | {"settings": self.settings.model_dump(mode="json")})

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
        except (ValidationError, KeyError) as error:
            raise BundleError(f"{folder}: {SETTINGS_FILE} {_first_problem(error)}; fit the bundle again") from error
        state = _read_weights(folder)
        try:
            model = model_from_state(settings.elements, settings.potential, settings.uncertainty, state)
            bundle = cls(settings, model)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise BundleError(f"{folder}: {WEIGHTS_FILE} does not fit {SETTINGS_FILE}; fit the bundle again") from error
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


def _read_weights(folder: Path) -> Any:
    try:
        return read_tensors(folder / WEIGHTS_FILE, "a file of weights", "fit the bundle again")
    except InputError as error:
        raise BundleError(str(error)) from error


def _first_problem(error: ValidationError | KeyError) -> str:
    if isinstance(error, KeyError):
        return f"has no {error.args[0]}"
    problem = error.errors()[0]
    place = ".".join(map(str, ("settings", *problem["loc"])))
    reason = "settings are expected" if problem["type"] == "model_type" else problem["msg"].lower()
    return f"is not what it should be at {place} ({reason})"


def require_replaceable(folder: Path) -> None:
    """Refuse to put a bundle where something else lies that would be lost.

    Raises
    ------
    InputError
        If there is a file, or a folder with other files than a bundle's.
    """
    folder = Path(folder)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / SETTINGS_FILE).is_file()):
        raise InputError(f"{folder}: holds something else than a bundle, which would be lost; give another place")


def _replace(folder: Path, new: Path) -> None:
    before = folder.with_name(f".{folder.name}.before")
    shutil.rmtree(before, ignore_errors=True)
    if folder.is_dir():
        folder.rename(before)
    new.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(before, ignore_errors=True)


def _require_version(folder: Path, header: Any) -> None:
    if not (isinstance(header, dict) and "format_version" in header):
        raise BundleError(f"{folder}: {SETTINGS_FILE} is not that of a bundle; give a folder that `uqcv fit` wrote")
    version = header["format_version"]
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{folder}: bundle format {version} was given; this uqcv reads format {FORMAT_VERSION}: fit it again"
        )
