"""Both passes of a network over complete links as compiled code that is called directly.

What torch.compile puts around compiled code, guards before it and autograd behind it, costs a small molecule a quarter
of a step. Here all operations of forward and backward pass are recorded once (make_fx), parted into the two by torch's
own partitioner, and compiled each; a step then calls them with positions and weights. Weights are arguments: code on
disk serves every network of the same architecture and size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

import torch
import torch._functorch.config
import torch._inductor
from functorch.compile import min_cut_rematerialization_partition
from torch import Tensor, nn
from torch._inductor.decomposition import select_decomp_table
from torch.func import functional_call, functionalize
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

from uqcv.potentials.compilation import OPTIONS
from uqcv.potentials.links import CompleteLinks, Links
from uqcv.potentials.passes import Output

GRAIN = 16  # numbers; each weight begins where a vector register likes it
GEOMETRY = 2  # positions and offsets come before weights


class Weights:
    """All parameters and buffers of a module, packed: each tensor that compiled code is given costs a microsecond.

    Attributes
    ----------
    packed
        One tensor for each data type.
    """

    def __init__(self, module: nn.Module) -> None:
        tensors = dict(module.named_parameters()) | dict(module.named_buffers())
        self._places: list[tuple[str, int, int, torch.Size]] = []
        self.packed: list[Tensor] = []
        for kind, dtype in enumerate(sorted({tensor.dtype for tensor in tensors.values()}, key=str)):
            parts, start = [], 0
            for name, tensor in tensors.items():
                if tensor.dtype == dtype:
                    self._places.append((name, kind, start, tensor.shape))
                    parts.append(nn.functional.pad(tensor.detach().flatten(), (0, -tensor.numel() % GRAIN)))
                    start += len(parts[-1])
            self.packed.append(torch.cat(parts))

    def unpack(self, packed: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the tensors by name, as views."""
        return {
            name: packed[kind][start : start + shape.numel()].view(shape) for name, kind, start, shape in self._places
        }


class Recording(NamedTuple):
    """Graphs of both passes.

    Attributes
    ----------
    forward
        From positions, offsets and packed weights to outputs and what is saved.
    backward
        From what `inputs` says to the derivative by positions.
    inputs
        Of `backward`: indices into positions, offsets, packed weights, saved and weights of outputs, in a row.
    """

    forward: GraphModule
    backward: GraphModule
    inputs: list[int]


class RecordedPasses:
    """Compiled passes of one network for one number of atoms.

    Parameters
    ----------
    network
        From positions, offsets and links to outputs.
    positions, offsets, links
        To record with.
    """

    def __init__(self, network: nn.Module, positions: Tensor, offsets: Tensor, links: CompleteLinks) -> None:
        weights = Weights(network)

        def run(positions: Tensor, offsets: Tensor, *packed: Tensor) -> Output:
            outputs: Output = functional_call(network, weights.unpack(packed), (positions, offsets, links))
            return outputs

        arguments = [positions.detach(), offsets.detach(), *weights.packed]
        self._zeros = [torch.zeros_like(output) for output in run(*arguments)]
        recording = _record(run, arguments, self._zeros)
        self._weights, self._n_outputs = weights.packed, len(self._zeros)
        self._forward = _compiled(recording.forward, arguments)
        self._chosen: Callable[[list[Tensor]], tuple[Tensor, ...]] = itemgetter(*recording.inputs)
        _, saved = self.forward(arguments[0], arguments[1], links)
        self._backward = _compiled(recording.backward, self._chosen([*saved, *self._zeros]))

    def forward(self, positions: Tensor, offsets: Tensor, links: Links) -> tuple[Output, list[Tensor]]:
        """See `Passes`."""
        outputs = self._n_outputs
        values = self._forward(positions, offsets, *self._weights)
        return tuple(values[:outputs]), [positions, offsets, *self._weights, *values[outputs:]]

    def backward(self, saved: list[Tensor], weights: Sequence[Tensor | None]) -> Sequence[Tensor]:
        """See `Passes`."""
        factors = [zero if weight is None else weight for weight, zero in zip(weights, self._zeros, strict=True)]
        gradients: Sequence[Tensor] = self._backward(*self._chosen([*saved, *factors]))
        return gradients


def _record(run: Callable[..., Output], arguments: list[Tensor], zeros: list[Tensor]) -> Recording:
    """Return the graphs of `run` and of its derivative by the first of its arguments."""

    def both(*values: Tensor) -> list[Tensor]:
        outputs = run(*values[: len(arguments)])
        gradients = torch.autograd.grad(outputs, values[:1], values[len(arguments) :])
        return [*(output.detach() for output in outputs), *gradients]

    leaf = arguments[0].clone().requires_grad_(True)
    recorded = make_fx(both)(leaf, *arguments[1:], *zeros)

    def named(primals: list[Tensor], tangents: list[Tensor]) -> list[Tensor]:
        # Operations in place cannot be moved from one pass to the other: they are replaced by those that are not.
        values: list[Tensor] = functionalize(recorded)(*primals, *tangents)
        return values

    joint = make_fx(named, decomposition_table=select_decomp_table())(arguments, zeros)
    # What was made of pairs is computed again rather than kept: the rest then stays in the cache of a core.
    with torch._functorch.config.patch(aggressive_recomputation=True):
        forward, backward = min_cut_rematerialization_partition(joint, None, num_fwd_outputs=len(zeros))
    kept = _keep_no_views(forward, backward, arguments, len(zeros))
    tangents = [f"tangents_{k + 1}" for k in range(len(zeros))]
    row = [*(f"primals_{k + 1}" for k in range(len(arguments))), *kept, *tangents]
    return Recording(forward, backward, [row.index(node.name) for node in _inputs(backward)])


def _inputs(graph: GraphModule) -> list[Node]:
    return [node for node in graph.graph.nodes if node.op == "placeholder"]


def _keep_no_views(forward: GraphModule, backward: GraphModule, arguments: list[Tensor], n_outputs: int) -> list[str]:
    """Let `backward` take views of arguments for itself; return the names of what `forward` saves beside them."""
    (result,) = (node for node in forward.graph.nodes if node.op == "output")
    saved, values = result.args[0][n_outputs:], forward(*arguments)[n_outputs:]
    places = {argument.untyped_storage().data_ptr() for argument in arguments}
    views = [n for n, v in zip(saved, values, strict=True) if v.untyped_storage().data_ptr() in places]
    kept = [node for node in saved if node not in views]
    result.args = ((*result.args[0][:n_outputs], *kept),)
    forward.recompile()
    _take_views(backward, [node for node in views if node.op != "placeholder"])
    return [node.name for node in kept]


def _take_views(backward: GraphModule, views: list[Node]) -> None:
    graph, given = backward.graph, {node.name: node for node in _inputs(backward)}
    first = next(node for node in graph.nodes if node.op != "placeholder")

    def taken(node: Node) -> Node:
        if node.op == "placeholder" and node.name not in given:
            with graph.inserting_before(next(iter(graph.nodes))):
                given[node.name] = graph.placeholder(node.name)
        return given[node.name] if node.op == "placeholder" else graph.node_copy(node, taken)

    for view in views:
        with graph.inserting_before(first):
            given[view.name].replace_all_uses_with(taken(view))
        graph.erase_node(given.pop(view.name))
    backward.recompile()


def _compiled(graph: GraphModule, arguments: Sequence[Tensor]) -> Callable[..., Sequence[Tensor]]:
    for node in graph.graph.nodes:
        node.meta.clear()  # of the tensors that were recorded with
    options = {"config_patches": OPTIONS}
    with torch.no_grad():
        return torch._inductor.standalone_compile(
            graph, list(arguments), dynamic_shapes="from_example_inputs", options=options, donate_graph_module=True
        )
