"""Which passes a compiled network gets, and what happens where nothing can be compiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from uqcv.potentials.compilation import compiled_or_eager, has_compiler, keep_compiled_code, say_eager, say_failed
from uqcv.potentials.links import CompleteLinks, Links
from uqcv.potentials.passes import AutogradPasses, Output, Passes


def compiled_passes(network: nn.Module, complete: bool, by_offsets: bool = False) -> Passes:
    """Return the compiled passes of a network, which are compiled at the first call.

    Parameters
    ----------
    network
        From positions, offsets and links to outputs; its weights may differ from run to run, its architecture may not.
    complete
        Whether links are complete. Over tables of neighbours torch.compile does it: there is more to compute in a
        step, and tables change their width.
    by_offsets
        Whether derivatives by offsets are wanted too.
    """
    if complete and not by_offsets:
        return CompiledPasses(network)
    return AutogradPasses(compiled_or_eager(network, tables=not complete), by_offsets)


class CompiledPasses:
    """Passes that are recorded and compiled at the first call; torch's own where that cannot be.

    Parameters
    ----------
    network
        Of complete links.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._passes: Passes | None = None

    def forward(self, positions: Tensor, offsets: Tensor, links: Links) -> tuple[Output, Any]:
        """See `Passes`."""
        if self._passes is None:
            self._passes = self._recorded(positions, offsets, links)
        return self._passes.forward(positions, offsets, links)

    def backward(self, saved: Any, weights: Sequence[Tensor | None]) -> Sequence[Tensor]:
        """See `Passes`."""
        assert self._passes is not None
        return self._passes.backward(saved, weights)

    def _recorded(self, positions: Tensor, offsets: Tensor, links: Links) -> Passes:
        assert isinstance(links, CompleteLinks)
        if not has_compiler():
            say_eager("no C++ compiler was found")
            return AutogradPasses(self._network)
        keep_compiled_code()
        try:
            from uqcv.potentials.recording import RecordedPasses  # takes seconds

            return RecordedPasses(self._network, positions, offsets, links)
        except Exception as error:  # whatever torch may raise; what is wrong with the network itself shows again below
            say_failed(error)
            return AutogradPasses(self._network)
