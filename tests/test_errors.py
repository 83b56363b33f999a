"""What a user can mend is one line; what is a mistake in the program is none."""

import errno

import pytest
import torch

from uqcv.errors import InputError, one_line


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (InputError("as it is"), "as it is"),
        (OSError(errno.ENOSPC, "No space", "a.csv"), "a.csv: No space; free some space or give another place"),
        (OSError(errno.EROFS, "Read-only"), "Read-only; give another place or change its permissions"),
        (OSError("\nsecond"), "second"),
        (MemoryError(), "not enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "not enough memory"),
    ],
)
def test_what_can_be_mended_is_one_line(error, words):
    line = one_line(error)
    assert words in line and "\n" not in line.strip()


@pytest.mark.parametrize("error", [KeyError("a"), RuntimeError("shape"), AssertionError()])
def test_a_mistake_in_the_program_is_not_hidden(error):
    assert one_line(error) is None
