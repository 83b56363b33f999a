"""The command line as `python -m uqcv.cli`."""

from uqcv.cli import main

if __name__ == "__main__":
    main()
