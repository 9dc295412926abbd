"""Reading what the inputs stage wrote."""

from pathlib import Path

import pandas as pd

from gta.cohort.tables import read_table


def read_annotation(path: Path) -> pd.DataFrame:
    """The annotation table: `gene symbol biotype description` and further text columns."""
    return read_table(path, ("gene", "symbol", "biotype", "description"))
