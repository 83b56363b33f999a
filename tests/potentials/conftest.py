"""A network that is small, but has what a recording must cope with."""

import pytest
import torch
from torch import nn

from uqcv.potentials.links import CompleteLinks

N_ATOMS = 4


class Springs(nn.Module):
    """Two outputs of positions, with several data types, indices and work in place."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(3, 5).double().requires_grad_(False)
        self.register_buffer("lengths", torch.linspace(0.5, 1.5, N_ATOMS**2))
        self.register_buffer("counted", torch.tensor([0, 2]))

    def forward(self, positions, offsets, links):
        vectors = links.of_senders(positions) - links.of_receivers(positions) + offsets
        stretch = vectors.square().sum(dim=1).add(0.1).sqrt() - self.lengths.double()
        stretch.mul_(2.0)
        features = torch.tanh(self.mix(positions))
        return stretch.square().sum()[None], features.sum(dim=1).index_select(0, self.counted)


@pytest.fixture
def springs() -> Springs:
    torch.manual_seed(0)
    return Springs()


@pytest.fixture
def positions() -> torch.Tensor:
    return torch.randn(N_ATOMS, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def offsets() -> torch.Tensor:
    return 0.1 * torch.ones(N_ATOMS**2, 3, dtype=torch.float64)


@pytest.fixture
def links() -> CompleteLinks:
    return CompleteLinks(1, N_ATOMS)
