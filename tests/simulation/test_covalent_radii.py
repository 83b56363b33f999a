from uqcv.simulation.covalent_radii import COVALENT_RADII, LAST, SYMBOLS


def test_radii_are_those_of_the_paper():
    """Its Table 2: the first and the last element, sp3 carbon, low-spin iron, and some between."""
    radii = dict(zip(SYMBOLS, COVALENT_RADII.tolist(), strict=True))
    wanted = {"H": 0.31, "C": 0.76, "O": 0.66, "Ne": 0.58, "Na": 1.66, "Fe": 1.32, "Fr": 2.60, "Cm": 1.69}
    assert {symbol: round(radii[symbol], 9) for symbol in wanted} == wanted
    assert len(radii) == LAST
