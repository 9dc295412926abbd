"""Predictions of new people, per haplotype and per person."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from gta.aligner.predict import Trained
from gta.cohort.tables import Cohort, read_genes, read_people

#: Number of the reference haplotype in every panel.
REFERENCE = 0


def new_cohort(folder: Path) -> Cohort:
    """The people and genes of a folder that `gta predict prepare` wrote; nothing is known of their expression."""
    people, genes = read_people(folder), read_genes(folder)
    return Cohort(people, genes, np.full((len(genes), len(people)), np.nan))


@torch.no_grad()
def predict_new(trained: Trained) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predict every gene of every person.

    Args:
        trained: A trained aligner, with the features of the new people.

    Returns:
        Per haplotype `seed gene person haplotype mean deviation predicted`, haplotype 1 or 2 (1 alone for a haploid call), and
        per person the same without `haplotype`, the mean over the haplotypes. Natural log. `mean`: the level of the gene as
        predicted from this sequence; `deviation`: from the reference sequence, so that it does not depend on who else is
        predicted; `predicted`: the level predicted from the reference sequence plus the deviation.
    """
    data = trained.data
    per_haplotype, per_person = [], []
    for number, gene in enumerate(tqdm(data.genes, desc="genes", file=sys.stderr, mininterval=5)):
        carriers = data.carriers(number)
        haplotypes = np.union1d([REFERENCE], data.haplotypes(number, np.arange(len(data.people))))
        mean, deviation = (values.double().numpy() for values in trained.predict_haplotypes(number, haplotypes))
        # The reference is the first of the ascending numbers.
        table = pd.DataFrame({"mean": mean, "deviation": deviation - deviation[0]}, index=haplotypes)
        table["predicted"] = mean[0] + table["deviation"]
        person, copy = np.nonzero(carriers >= 0)
        own = table.loc[carriers[person, copy]].reset_index(drop=True)
        names = np.array(data.people)[person]
        own.insert(0, "person", names)
        own.insert(1, "haplotype", copy + 1)
        own.insert(0, "gene", gene)
        per_haplotype.append(own)
        means = own.drop(columns=["gene", "haplotype"]).groupby("person", sort=False).mean().reindex(data.people).reset_index()
        means.insert(0, "gene", gene)
        per_person.append(means)
    tables = [pd.concat(parts, ignore_index=True) for parts in (per_haplotype, per_person)]
    for table in tables:
        table.insert(0, "seed", trained.aligner.config.seed)
    return tables[0], tables[1]


def average_folds(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the tables of trainings together, averaged over those of one seed: the folds of a study.

    Args:
        tables: One of the tables of `predict_new` of each training: the same rows but for the seed.
    """
    by_seed: dict[int, list[pd.DataFrame]] = {}
    for table in tables:
        by_seed.setdefault(int(table["seed"].iloc[0]), []).append(table)
    parts = []
    for own in by_seed.values():
        for name in ("mean", "deviation", "predicted") if len(own) > 1 else ():
            own[0] = own[0].assign(**{name: np.mean([each[name].to_numpy() for each in own], axis=0)})
        parts.append(own[0])
    return pd.concat(parts, ignore_index=True)
