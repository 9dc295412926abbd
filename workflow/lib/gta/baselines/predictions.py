"""The table of predictions that every model writes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.files import atomic_path, require_file


def prediction_table(genes: Sequence[str], people: Sequence[str], mean: np.ndarray, deviation: np.ndarray) -> pd.DataFrame:
    """One row per gene and person.

    Args:
        genes: Names of G genes.
        people: Names of P people.
        mean: (G,) predicted level of each gene, natural log.
        deviation: (G, P) predicted difference between each person and the mean of the training people.

    Returns:
        Columns `gene person mean deviation predicted`, genes outermost.
    """
    level = np.repeat(mean, len(people))
    return pd.DataFrame(
        {
            "gene": np.repeat(np.asarray(genes, dtype=object), len(people)),
            "person": np.tile(np.asarray(people, dtype=object), len(genes)),
            "mean": level,
            "deviation": deviation.ravel(),
            "predicted": level + deviation.ravel(),
        }
    )


def mean_only_table(genes: Sequence[str], individuals: Sequence[str], mean: np.ndarray) -> pd.DataFrame:
    """Return predictions of a model that predicts mean expression only.

    Args:
        genes: Names of G genes.
        individuals: Names of P individuals.
        mean: (G,) predicted mean expression of each gene, natural log.

    Returns:
        Columns `gene person mean deviation predicted`, genes outermost; `deviation` is NaN throughout, `predicted` is `mean`.
    """
    table = prediction_table(genes, individuals, mean, np.zeros((len(genes), len(individuals))))
    return table.assign(deviation=np.nan)


def read_columns(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read some columns of a file of predictions.

    Raises:
        UserError: if the file is absent or broken.
    """
    require_file(path, "file of predictions")
    try:
        return pd.read_parquet(path, columns=list(columns))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a file of predictions ({error}): make the predictions again.") from None


def read_mean_expression(path: Path, cohort: Cohort) -> np.ndarray:
    """Read the mean expression that a model predicts, averaged over the training individuals.

    Args:
        path: A file of predictions.
        cohort: The cohort.

    Returns:
        (G,) float64, natural log.

    Raises:
        UserError: if the file is absent or broken, or does not predict every gene of the cohort.
    """
    table = read_columns(path, ("gene", "person", "mean"))
    training = cohort.people.loc[cohort.people["split"] == "train", "person"]
    means = table[table["person"].isin(training)].groupby("gene", sort=False)["mean"].mean().reindex(cohort.gene_names)
    if means.isna().any():
        raise UserError(
            f"{path} does not predict the gene {means.index[means.isna()][0]} of the cohort: make the predictions again."
        )
    return means.to_numpy(dtype=np.float64)


def write_predictions(table: pd.DataFrame, path: Path | str) -> None:
    """Write predictions as Parquet."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def require_people(cohort: Cohort, people: Sequence[str], what: str) -> None:
    """Make sure that a file is of the cohort's people, in its order.

    Args:
        cohort: The cohort.
        people: Names of the people in the file.
        what: Names the file in the message, as `the haplotypes of chr1`.

    Raises:
        UserError: naming the first person that differs.
    """
    wanted = cohort.people_names
    if list(people) == wanted:
        return
    absent = [person for person in wanted if person not in set(people)]
    strange = [person for person in people if person not in set(wanted)]
    if absent:
        reason = f"{absent[0]} of the cohort is not in them"
    elif strange:
        reason = f"{strange[0]} is not in the cohort"
    else:
        reason = "their order differs"
    raise UserError(f"{what} are not of this cohort's people ({reason}): make them again for this cohort.")
