"""A training step, from a batch to the gradients of its loss, as compiled code.

Force matching differentiates forces, which are derivatives themselves, and torch.compile takes no derivative of a
derivative. So all operations of forward, backward and second backward pass are recorded first (make_fx) and what was
recorded is compiled: NequIP's way, https://github.com/mir-group/nequip. Weights, species and labels are arguments;
only the shape of the batch is fixed.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from uqcv.potentials.compilation import compiled_or_eager
from uqcv.potentials.dataset import Batch
from uqcv.potentials.loss import ForceLoss, loss_of, mean_square
from uqcv.potentials.neighbors import Graph
from uqcv.potentials.potential import Potential, Prediction
from uqcv.potentials.settings import TrainingSettings


class CompiledStep:
    """Loss and gradients of one potential for batches of one shape.

    Parameters
    ----------
    potential
        What is trained; it must keep its parameters as objects.
    batch
        Of the shape of those to come: small molecules of one size.
    settings
        Weights of the loss.
    force_loss
        Of forces.
    """

    def __init__(
        self, potential: Potential, batch: Batch, settings: TrainingSettings, force_loss: ForceLoss = mean_square
    ) -> None:
        self._potential, self._links = potential, batch.graph.links
        self._parameters = list(potential.parameters())
        weights = (settings.energy_weight, settings.force_weight)
        network = (potential.settings, len(potential.elements), potential.n_outputs)
        shape = (self._links, batch.forces.dtype, batch.forces.device)
        if (key := (*network, *shape, *weights, force_loss)) not in _functions:
            _functions[key] = _compiled(potential, batch.graph, settings, force_loss, self._arguments(batch))
        self._function = _functions[key]

    def fits(self, batch: Batch) -> bool:
        """Whether `batch` is of the shape that was compiled."""
        return batch.graph.links == self._links

    def __call__(self, batch: Batch) -> Tensor:
        """Return the loss; the gradients of the parameters are set to its derivatives."""
        with torch.no_grad():
            loss, *gradients = self._function(*self._arguments(batch))
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss

    def _arguments(self, batch: Batch) -> tuple[Tensor, ...]:
        graph, potential = batch.graph, self._potential
        inputs = (potential.species(graph.numbers), graph.positions, graph.offsets, batch.energies, batch.forces)
        weights = (parameter.detach().requires_grad_(True) for parameter in self._parameters)
        return (*inputs, potential.offsets, potential.scale, *weights)


# What was compiled in this process: a retrained potential uses it again.
_functions: dict[tuple, Callable[..., tuple[Tensor, ...]]] = {}


def _compiled(
    potential: Potential,
    graph: Graph,
    settings: TrainingSettings,
    force_loss: ForceLoss,
    arguments: tuple[Tensor, ...],
) -> Callable[..., tuple[Tensor, ...]]:
    """Return the compiled function from species, positions, offsets, labels and weights to loss and gradients."""
    template = copy.deepcopy(potential)
    names = ("offsets", "scale", *(name for name, _ in template.named_parameters()))

    def loss_and_gradients(
        species: Tensor, positions: Tensor, offsets: Tensor, energies: Tensor, forces: Tensor, *state: Tensor
    ) -> tuple[Tensor, ...]:
        weights = dict(zip(names, state, strict=True))

        def predict(graph: Graph, vectors: Tensor) -> Prediction:
            return functional_call(template, weights, (graph, vectors, species))

        batch = Batch(replace(graph, positions=positions, offsets=offsets), energies, forces)
        loss, _, _ = loss_of(predict, batch, settings, create_graph=True, force_loss=force_loss)
        gradients = torch.autograd.grad(loss, state[2:], materialize_grads=True)
        # Optimizers on a CPU pair gradients with parameters by their place in memory, whatever their strides.
        return loss.detach(), *(gradient.contiguous() for gradient in gradients)

    recorded = make_fx(loss_and_gradients)(*arguments)
    recorded.graph.eliminate_dead_code()
    recorded.recompile()
    return compiled_or_eager(recorded)
