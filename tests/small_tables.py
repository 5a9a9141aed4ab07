"""Tables for tests, without a file."""

from pathlib import Path

import pandas as pd

from fairlora_cls.data.tables import Table


def table_of(columns, file="t.csv", home=None):
    """A table of these columns, name → cells; row 2 is the first below the header."""
    return Table(Path(file), pd.DataFrame(columns, dtype=object), home)
