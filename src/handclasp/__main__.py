"""`python -m handclasp`."""

from handclasp.cli.main import main

main()
