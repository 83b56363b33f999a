"""How a potential is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class TrainingSettings(BaseModel):
    """How a potential is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(60, ge=1, description="passes over the data of a first training")
    warm_epochs: int = Field(40, ge=1, description="passes over the data when going on from an earlier potential")
    generation_epochs: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (),
        description="passes over the data in the first generation of a campaign, the second and so on, the last one in "
        "all others; empty: epochs, then warm_epochs",
    )
    batch_size: int = Field(5, ge=1, description="structures per step")
    learning_rate: float = Field(4e-3, gt=0, description="peak learning rate")
    warm_learning_rate: float = Field(2e-3, gt=0, description="peak learning rate of a warm start")
    weight_decay: float = Field(1e-5, ge=0, description="AdamW's decoupled weight decay")
    energy_weight: float = Field(1.0, ge=0, description="weight of (energy error per atom / eV)^2")
    energy_weights: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (),
        description="energy_weight in the first generation (and in `uqcv train`), the second and so on, the last one "
        "in all others; empty: energy_weight in all",
    )
    force_weight: float = Field(1.0, gt=0, description="weight of (force component error / (eV/Å))^2")
    ema_decay: float = Field(0.99, ge=0, lt=1, description="decay of the running mean of the weights, per step")
    clip: float = Field(10.0, gt=0, description="largest norm of the gradient")
    patience: int = Field(50, ge=1, description="epochs without a better validation loss before stopping")
    dtype: Literal["float32", "float64"] = Field("float32", description="precision of network and labels")
    device: str = Field("cpu", description="torch device")
    warmup_steps: int = Field(50, ge=0, description="steps over which the learning rate rises")
    threads: int | None = Field(
        None,
        ge=1,
        description="CPU threads of each process; null: the cores over the processes, but at most 4",
    )
    processes: int | None = Field(
        None,
        ge=1,
        description="processes that share each batch; null: one for every two cores where training is long",
    )
    compiled: bool | Literal["auto"] = Field(
        "auto", description="compile the training step; auto: if it pays off, for molecules of at most 64 atoms"
    )

    def of_generation(self, number: int) -> TrainingSettings:
        """Return the settings of a generation of a campaign, from 0.

        Energies of few structures say little of others, and a potential that must meet them gets worse at what it has
        not seen; with many structures they put right what forces leave open: which conformer is how much higher.
        That takes more epochs than forces need.
        """
        weights = self.energy_weights or (self.energy_weight,)
        epochs = self.generation_epochs or (self.epochs, self.warm_epochs)
        of_all = {"energy_weights": (), "generation_epochs": (), "epochs": epochs[0]}
        own: dict[str, Any] = {"energy_weight": _of(number, weights)}
        if number:
            own["warm_epochs"] = _of(number, epochs)
        return self.model_copy(update=of_all | own)

    @model_validator(mode="after")
    def _processes_are_on_the_cpu(self) -> TrainingSettings:
        if (self.processes or 1) > 1 and self.device != "cpu":
            raise ValueError(f"processes {self.processes} on {self.device}: only a CPU shares batches; leave it out")
        return self


def _of(number: int, values: Sequence[float]) -> float:
    """Return the value of a generation: the last one is that of all others."""
    return values[min(number, len(values) - 1)]
