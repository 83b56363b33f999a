"""Settings of sampling: which strategy, how many walkers, and what ends them."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from uqcv.simulation.validity import ValiditySettings
from uqcv.uncertainty.pooling import GLOBAL_POOLINGS, Pooling

MOST_STEPS = 2**31 - 1  # what OpenMM counts in one call

DynamicsName = Literal[
    "metadynamics",
    "opes",
    "opes_explore",
    "extended_lagrangian",
    "uncertainty_driven",
    "torsion_metadynamics",
    "wall",
    "monitor",
    "unbiased",
]
ProposerName = Literal["random_atoms", "random_torsions", "adversarial_atoms", "adversarial_torsions"]
SamplerName = Literal[DynamicsName, ProposerName]
PROPOSERS: tuple[ProposerName, ...] = get_args(ProposerName)


class BiasSettings(BaseModel):
    """The bias; what is null is derived from the calibrated distribution of the uncertainty."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    component: Pooling = Field("smooth_max", description="pooling that is biased")
    sigma: float | None = Field(None, gt=0, description="width of a hill; null: sigma_ratio times the spread")
    sigma_ratio: float = Field(2.0, gt=0, description="width of a hill over the spread of held-out frames")
    height: float = Field(2.0, gt=0, description="height of a hill, kJ/mol")
    pace: float = Field(50.0, gt=0, description="time between hills, fs")
    bias_factor: float = Field(10.0, gt=1, description="bias factor of well-tempered metadynamics")
    barrier: float = Field(30.0, gt=0, description="barrier that OPES shall overcome, kJ/mol")
    wall_error: float = Field(0.8, gt=0, description="expected force error at which a wall begins, eV/Å")
    wall: float | None = Field(None, description="uncertainty at which the wall begins; null: from wall_error")
    kappa: float = Field(200.0, ge=0, description="force constant of the wall, kJ/mol per squared uncertainty")
    spring: float = Field(1000.0, gt=0, description="spring of the fictitious particle, kJ/mol per squared uncertainty")
    relaxation: float = Field(50.0, gt=0, description="relaxation time of the fictitious particle, fs")
    depth: float = Field(20.0, gt=0, description="how far uncertainty-driven dynamics lowers the energy, kJ/mol")
    width_ratio: float = Field(4.0, gt=0, description="width of that well over the spread of held-out frames")
    torsion_sigma: float = Field(0.35, gt=0, description="width of a hill of torsion_metadynamics, rad")
    shared: bool = Field(
        False, description="whether walkers share one bias (metadynamics of multiple walkers); they run all at a time"
    )
    template: str | None = Field(None, description="PLUMED template of your own instead of the sampler's")


class ProposalSettings(BaseModel):
    """Structures that are made without dynamics, by displacing those to start from."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    frames: int = Field(500, ge=1, le=1_000_000, description="structures per generation")
    atom_displacement: float = Field(0.05, gt=0, description="standard deviation of each coordinate, Å")
    attack_steps: int = Field(60, ge=1, description="steps of adversarial ascent")
    attack_temperature: float = Field(5000.0, gt=0, description="of the likelihood that an attack keeps, K")
    atom_rate: float = Field(0.01, gt=0, description="learning rate of an attack on atoms, Å")
    torsion_rate: float = Field(0.05, gt=0, description="learning rate of an attack on torsions, rad")
    batch: int = Field(64, ge=1, description="structures that are attacked at once")


class SamplingSettings(BaseModel):
    """How a generation looks for structures that the potential does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sampler: SamplerName = Field("metadynamics", description="strategy")
    walkers: int = Field(4, ge=1, le=10_000, description="number of walkers")
    length: float = Field(10000.0, gt=0, description="length of a walker, fs")
    temperatures: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (300.0,), min_length=1, description="of the walkers, in turn, K"
    )
    heating: float = Field(
        1.0, ge=1, description="factor by which the temperatures rise from each generation to the next"
    )
    hottest: float = Field(700.0, gt=0, description="temperature at which walkers are heated no further, K")
    time_step: float = Field(1.0, gt=0, description="fs")
    hydrogen_mass: float | None = Field(
        3.0, gt=0, description="mass that hydrogens get from their neighbours, amu; null: their own, for 0.5 fs"
    )
    friction: float = Field(0.001, gt=0, description="of the Langevin thermostat, 1/fs")
    frame_interval: float = Field(20.0, gt=0, description="time between frames, fs")
    start: Literal["random", "newest", "frontier"] = Field(
        "frontier",
        description="training frames that walkers start from: any, any of those labelled last, or those of them that "
        "differed most from all before",
    )
    bias: BiasSettings = Field(default_factory=BiasSettings, description="the bias along the uncertainty")
    restarts: int = Field(
        0,
        ge=0,
        le=1000,
        description="times that walkers start anew within their length, at frames that are unsure and differ most from "
        "training frames and all starts",
    )
    proposals: ProposalSettings = Field(
        default_factory=ProposalSettings, description="of the samplers without dynamics: random and adversarial ones"
    )
    ceiling_error: float = Field(1.2, gt=0, description="expected force error at which a walker ends, eV/Å")
    max_energy: float = Field(3.0, gt=0, description="energy above the minimum at which a walker ends, eV")
    max_temperature_ratio: float = Field(3.0, gt=1, description="instantaneous over thermostat temperature at the end")
    validity: ValiditySettings = Field(default_factory=ValiditySettings, description="limits of bonds and contacts")
    restraint: float | None = Field(
        0.5,
        gt=0,
        lt=1,
        description="share of the way from the relaxed molecule to the limits of its bonds and angles beyond which "
        "they are pulled back, if the topology names its bonds; null: never",
    )
    processes: int | None = Field(None, ge=1, description="walkers at a time; null: one per core")
    dtype: Literal["float32", "float64"] = Field("float32", description="precision of the dynamics' network")
    device: str = Field("cpu", description="torch device of the dynamics")
    fused: Literal["auto", True, False] = Field(
        "auto", description="whether the bias on U shares the network's backward pass; true: refuse to run without"
    )
    checkpoint_interval: float = Field(
        10.0, ge=0, description="wall time between checkpoints of a walker, s; results do not depend on it"
    )
    compiled: bool = Field(True, description="compile the network; costs a minute once, then saves half of each step")

    @model_validator(mode="after")
    def _one_bias_has_one_temperature(self) -> SamplingSettings:
        if not self.bias.shared:
            return self
        if self.sampler != "metadynamics" and self.bias.template is None:
            raise ValueError(
                f"bias.shared with sampler {self.sampler}: metadynamics is expected, or bias.template; the hills of "
                "others are read by METAD"
            )
        if self.restarts:
            raise ValueError(f"bias.shared with restarts {self.restarts}: 0 is expected, since each part has new hills")
        if self.walkers < 2:
            raise ValueError("bias.shared with 1 walker: at least 2 are expected, or bias.shared=false")
        if len(set(self.temperatures)) > 1:
            given = ", ".join(f"{t:g}" for t in self.temperatures)
            raise ValueError(f"bias.shared with temperatures {given}: one temperature is expected for one bias")
        return self

    @model_validator(mode="after")
    def _bias_is_for_the_sampler(self) -> SamplingSettings:
        """Refuse what a sampler without dynamics would not look at, or could not climb."""
        if not self.has_dynamics and self.restarts:
            raise ValueError(
                f"restarts {self.restarts} with sampler {self.sampler}: a sampler with dynamics is expected"
            )
        if not self.has_dynamics and self.heating > 1:
            raise ValueError(
                f"heating {self.heating:g} with sampler {self.sampler}: a sampler with dynamics is expected"
            )
        if not self.has_dynamics and self.bias.template is not None:
            raise ValueError(
                f"bias.template {self.bias.template} with sampler {self.sampler}: a sampler with dynamics is expected, "
                "or bias.template=null; others have no bias"
            )
        if self.attacks and self.bias.component not in GLOBAL_POOLINGS:
            raise ValueError(
                f"bias.component {self.bias.component} with sampler {self.sampler}: one of "
                f"{', '.join(GLOBAL_POOLINGS)} is expected, which many structures at once can be attacked along"
            )
        return self

    @model_validator(mode="after")
    def _parts_have_frames(self) -> SamplingSettings:
        """Refuse parts shorter than the time between frames, which is the least that a walker takes."""
        most = max(0, int(self.length / self.frame_interval) - 1)
        if self.restarts > most:
            raise ValueError(
                f"restarts {self.restarts} within {self.length:g} fs: at most {most} are expected, so that each part "
                f"has a frame after {self.frame_interval:g} fs"
            )
        return self

    @model_validator(mode="after")
    def _steps_can_be_counted(self) -> SamplingSettings:
        for name, time in (
            ("length", self.length),
            ("frame_interval", self.frame_interval),
            ("bias.pace", self.bias.pace),
        ):
            if time / self.time_step > MOST_STEPS:
                raise ValueError(
                    f"{name} {time:g} fs in steps of {self.time_step:g} fs: at most {MOST_STEPS} steps are expected"
                )
        return self

    def heated(self, generation: int) -> SamplingSettings:
        """Return the settings of a generation: its temperatures are higher than those of the first one.

        A potential of few structures holds cold molecules together; what it has learned of them lets the next be
        warmer, and see what a cold one would not in the time there is.
        """
        factor = self.heating**generation
        temperatures = tuple(max(t, min(t * factor, self.hottest)) for t in self.temperatures)
        return self.model_copy(update={"temperatures": temperatures})

    @property
    def has_dynamics(self) -> bool:
        """Whether walkers move by molecular dynamics."""
        return self.sampler not in PROPOSERS

    @property
    def attacks(self) -> bool:
        """Whether structures climb the uncertainty."""
        return self.sampler.startswith("adversarial")

    @property
    def n_starts(self) -> int:
        """Frames that a generation starts from: one per walker, or per proposed structure."""
        return self.walkers if self.has_dynamics else self.proposals.frames

    @property
    def stride(self) -> int:
        """Steps between frames, and between lines of COLVAR."""
        return max(1, round(self.frame_interval / self.time_step))
