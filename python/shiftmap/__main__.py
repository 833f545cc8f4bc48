"""The program `shiftmap`, as it is on the command line."""

import os
import sys
from pathlib import Path


def main() -> None:
    program = Path(__file__).parent / "_files" / "shiftmap"
    if not program.exists():
        sys.exit(f"ERROR: {program} is missing; install the wheel, or use the program of `make install`")
    # pip does not keep the permission to execute.
    if not os.access(program, os.X_OK):
        program.chmod(0o755)
    os.execv(program, ["shiftmap", *sys.argv[1:]])


if __name__ == "__main__":
    main()
