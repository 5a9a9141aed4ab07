"""`python -m tests.fuzzing [KIND …] --seed 1 [--first N] [--cases N]`: prints what does not hold."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before transformers is imported anywhere


def main() -> int:
    from tests.fuzzing.cases import run_cases
    from tests.fuzzing.kinds import KINDS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}; none: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--cases", type=int, help="of each kind (default: the heavy form's)")
    chosen = parser.parse_args()
    wrong = 0
    for name in chosen.kinds or KINDS:
        count = KINDS[name].heavy if chosen.cases is None else chosen.cases
        numbers = range(chosen.first, chosen.first + count)
        with tempfile.TemporaryDirectory() as place:
            os.environ.setdefault("FAIRLORA_CACHE", f"{tempfile.gettempdir()}/fairlora-fuzzing")
            for found in run_cases(name, chosen.seed, numbers, Path(place)):
                wrong += 1
                print(found, flush=True)
    print(f"{wrong} cases do not hold.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
