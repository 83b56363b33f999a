"""The gradients of a training step: eager or compiled, in one process or in several that share the batch."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from uqcv.potentials.compiled_step import CompiledStep
from uqcv.potentials.dataset import Dataset
from uqcv.potentials.links import CompleteLinks
from uqcv.potentials.loss import ForceLoss, loss_of, mean_square
from uqcv.potentials.painn import PaiNNSettings
from uqcv.potentials.potential import Potential
from uqcv.potentials.settings import TrainingSettings
from uqcv.remote import RemoteObject
from uqcv.structures import Structure


class BatchGradients:
    """Loss of a batch, or what a part of it adds, with the gradients of one potential.

    Parameters
    ----------
    potential
        Its parameters get the gradients.
    data
        Where batches are from.
    settings
        Weights of the loss.
    compiled
        Whether to compile, where `data` are molecules whose pairs never change.
    size
        Structures of a usual call, for which it is compiled.
    force_loss
        Of forces.
    """

    def __init__(
        self,
        potential: Potential,
        data: Dataset,
        settings: TrainingSettings,
        compiled: bool,
        size: int,
        force_loss: ForceLoss = mean_square,
    ) -> None:
        self._potential, self._data, self._settings, self._force_loss = potential, data, settings, force_loss
        self._parameters = list(potential.parameters())  # finding them in the modules takes a tenth of a step
        batch = data.batch(range(min(size, len(data))))
        fixed = compiled and isinstance(batch.graph.links, CompleteLinks)
        self._step = CompiledStep(potential, batch, settings, force_loss) if fixed else None

    def __call__(self, indices: Sequence[int], batch: Sequence[int] | None = None) -> Tensor:
        """Return the loss of the structures at `indices` and set its gradients.

        With `batch`, of which they are a part, it is what they add to the loss of the batch: the sum over its parts
        is its loss, whatever their sizes.
        """
        part = self._data.batch(indices)
        of_structures, of_atoms = self._shares(indices, batch or indices)
        if self._step is not None and self._step.fits(part):
            loss = self._step(part)
            return loss if of_structures == 1 else self._scaled(loss, of_structures)
        weights = {
            "energy_weight": of_structures * self._settings.energy_weight,
            "force_weight": of_atoms * self._settings.force_weight,
        }
        weighted = self._settings.model_copy(update=weights)
        loss, _, _ = loss_of(self._potential, part, weighted, create_graph=True, force_loss=self._force_loss)
        gradients = torch.autograd.grad(loss, self._parameters, materialize_grads=True)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient.contiguous()  # as `CompiledStep` does, and for its reason
        return loss.detach()

    def _shares(self, indices: Sequence[int], batch: Sequence[int]) -> tuple[float, float]:
        """Return the shares of structures and of atoms that are in the part."""
        atoms = [sum(len(self._data.structures[k]) for k in chosen) for chosen in (indices, batch)]
        return len(indices) / len(batch), atoms[0] / atoms[1]

    def _scaled(self, loss: Tensor, factor: float) -> Tensor:
        """Where a step is compiled all molecules have one size, and both shares are the same."""
        for gradient in gradients_of(self._parameters):
            gradient.mul_(factor)
        return loss * factor

    def close(self) -> None:
        """Nothing to end."""


class ParallelGradients:
    """The same from several processes, each with its part of the structures of a batch.

    Weights and gradients pass through a file in memory; gradients are summed in the order of processes, so that a run
    can be repeated.

    Parameters
    ----------
    potential, data, settings, compiled, force_loss
        As for `BatchGradients`.
    processes
        How many, this one included; those that would have nothing to do are not started.
    threads
        CPU threads of each.
    """

    def __init__(
        self,
        potential: Potential,
        data: Dataset,
        settings: TrainingSettings,
        compiled: bool,
        processes: int,
        threads: int,
        force_loss: ForceLoss = mean_square,
    ) -> None:
        self._parameters = list(potential.parameters())
        size = min(settings.batch_size, len(data))
        self._part = math.ceil(size / processes)
        sizes = [len(part) for part in self._split(range(size))]
        first = parameters_to_vector(self._parameters).detach()
        self._folder = tempfile.TemporaryDirectory(prefix="uqcv-")
        shared = Shared(Path(self._folder.name) / "shared", len(sizes), len(first), first.dtype)
        self._weights, *self._sums = shared.tensors()
        arrays = {name: tensor.cpu().numpy() for name, tensor in potential.state_dict().items()}
        model = (potential.elements, potential.settings, potential.n_outputs, arrays)
        at_work = (model, data.structures, settings, force_loss, compiled)
        self._helpers = [RemoteObject(Helper, *at_work, sizes[k], threads, shared, k) for k in range(1, len(sizes))]
        self._own = BatchGradients(potential, data, settings, compiled, sizes[0], force_loss)

    def __call__(self, indices: Sequence[int]) -> Tensor:
        """Return the loss of the structures at `indices` and set its gradients."""
        self._weights.copy_(parameters_to_vector(self._parameters).detach())
        parts = self._split(indices)
        busy = list(zip(self._helpers, self._sums, parts[1:], strict=False))
        for helper, _, part in busy:
            helper.send("gradients", part, indices)
        loss = self._own(parts[0], indices)
        total = parameters_to_vector(gradients_of(self._parameters))
        for helper, gradients, _ in busy:
            loss = loss + helper.receive()
            total += gradients
        vector_to_parameters(total, gradients_of(self._parameters))
        return loss

    def _split(self, indices: Sequence[int]) -> list[Sequence[int]]:
        return [indices[k : k + self._part] for k in range(0, len(indices), self._part)]

    def close(self) -> None:
        """End the other processes."""
        for helper in self._helpers:
            helper.close()
        self._folder.cleanup()


@dataclass(frozen=True)
class Shared:
    """Vectors that several processes see, in a file.

    Attributes
    ----------
    path
        It is made if it is not there.
    number, length
        Of the vectors.
    dtype
        Of their elements.
    """

    path: Path
    number: int
    length: int
    dtype: torch.dtype

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the vectors; what one process writes into them the others read."""
        size = self.number * self.length
        return torch.from_file(str(self.path), shared=True, size=size, dtype=self.dtype).split(self.length)


class Helper:
    """One of the other processes of `ParallelGradients`.

    Parameters
    ----------
    model
        Elements, architecture, outputs and state of the potential.
    structures
        Of the data set.
    settings, force_loss, compiled, size
        As for `BatchGradients`.
    threads
        CPU threads.
    shared, place
        Vectors: weights are read from the first, gradients written into that at `place`.
    """

    def __init__(
        self,
        model: tuple[tuple[int, ...], PaiNNSettings, int, Mapping[str, NDArray]],
        structures: Sequence[Structure],
        settings: TrainingSettings,
        force_loss: ForceLoss,
        compiled: bool,
        size: int,
        threads: int,
        shared: Shared,
        place: int,
    ) -> None:
        torch.set_num_threads(threads)
        elements, architecture, n_outputs, arrays = model
        vectors = shared.tensors()
        potential = Potential(elements, architecture, n_outputs).to_dtype(shared.dtype)
        potential.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
        self._parameters, self._gradients = list(potential.parameters()), vectors[place]
        vector_to_parameters(vectors[0], self._parameters)  # they are views of it from here on
        data = Dataset(structures, architecture.cutoff, shared.dtype)
        self._own = BatchGradients(potential, data, settings, compiled, size, force_loss)

    def gradients(self, indices: Sequence[int], batch: Sequence[int]) -> float:
        """Write the gradients of a part of a batch; return what it adds to the loss."""
        loss = self._own(indices, batch)
        self._gradients.copy_(parameters_to_vector(gradients_of(self._parameters)))
        return loss.item()


def gradients_of(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradients that were set; all are, those that are zero too."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]
