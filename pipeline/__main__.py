"""`python -m pipeline` is `prep`."""

from pipeline.cli.main import main

main()
