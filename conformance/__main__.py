"""`python -m conformance`."""

from conformance.interruption import INTERRUPTION

INTERRUPTION.install()  # before all that takes long to load, also in a process of a pool

from conformance.cli import main  # noqa: E402 - as above

if __name__ == "__main__":
    main()
