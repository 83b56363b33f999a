"""The `plumed` program through the command line."""


def test_the_plumed_program(subcommand):
    done = subcommand("plumed", "info", "--version")
    assert done.returncode == 0 and done.stdout.strip().startswith("2."), done.stderr
    assert subcommand("plumed", "no-such-tool").returncode != 0
