"""`python -m pipeline` is `prep`."""

from pipeline.cli import main

main()
