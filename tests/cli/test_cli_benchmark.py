"""A benchmark that cannot be made is refused before it begins."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--atoms", 3), "--atoms 3 was given; 100 or more is expected, or 0 for no crystal"),
        (("--dtype", "float16"), "--dtype float16 was given; float32 or float64 is expected"),
        (("--device", "abacus"), "--device abacus was given; torch cannot use it"),
        (("--atoms", 0, "--molecule", "none.pdb"), "none.pdb: no such PDB"),
        (
            ("--out", "/proc/none/speed.json"),
            "/proc/none/speed.json: nothing can be written in /proc; give",
        ),
        (("--out", "."), ".: a folder was given; a file to write is expected"),
    ],
)
def test_a_benchmark_that_cannot_be(refused, arguments, words, tmp_path):
    assert words in refused("benchmark", "speed", *arguments)
    assert not (tmp_path / "speed.json").exists()
