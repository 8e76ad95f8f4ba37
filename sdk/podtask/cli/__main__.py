"""`python -m podtask.cli`: the command where its script is not on PATH."""

from podtask.cli import main

if __name__ == "__main__":
    main()
