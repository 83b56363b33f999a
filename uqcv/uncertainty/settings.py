"""How an uncertainty is fitted, pooled and calibrated."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from uqcv.uncertainty.calibration import CalibrationSettings
from uqcv.uncertainty.ensemble import EnsembleSettings
from uqcv.uncertainty.evidential import EvidentialSettings
from uqcv.uncertainty.gmm import GMMSettings
from uqcv.uncertainty.last_layer import LastLayerSettings
from uqcv.uncertainty.mean_variance import MeanVarianceSettings
from uqcv.uncertainty.pooling import PoolingSettings

Method = Literal["gmm", "mahalanobis", "last_layer", "ensemble", "mve", "evidential"]
METHODS: tuple[Method, ...] = get_args(Method)


class UncertaintySettings(BaseModel):
    """How the uncertainty is fitted, pooled and calibrated."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Method = Field(
        "gmm",
        description="gmm: mixture on latent features; mahalanobis: one Gaussian; last_layer: posterior of the last "
        "layer; ensemble: disagreement about forces; mve: learned variance of forces; evidential: learned evidence",
    )
    gmm: GMMSettings = Field(default_factory=GMMSettings, description="the Gaussian mixture")
    last_layer: LastLayerSettings = Field(default_factory=LastLayerSettings, description="the last layer's posterior")
    ensemble: EnsembleSettings = Field(default_factory=EnsembleSettings, description="the ensemble")
    mve: MeanVarianceSettings = Field(default_factory=MeanVarianceSettings, description="mean-variance estimation")
    evidential: EvidentialSettings = Field(default_factory=EvidentialSettings, description="evidential regression")
    directions: int | None = Field(
        16,
        ge=1,
        description="directions in feature space by which structures are told apart, those in which training atoms "
        "differ most compared with how they vibrate; null: all features",
    )
    pooling: PoolingSettings = Field(default_factory=PoolingSettings, description="from atoms to the system")
    calibration: CalibrationSettings = Field(default_factory=CalibrationSettings, description="to eV/Å")
