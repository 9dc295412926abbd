"""What is computed of a few genes only, because it is slow: integrated gradients, words and in-silico mutagenesis."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from gta.aligner.predict import Trained
from gta.attribution.integrated import integrated_gradients
from gta.attribution.mutagenesis import COLUMNS, Sequences, mutate
from gta.attribution.settings import AttributionSettings
from gta.attribution.tiles import reference_order
from gta.attribution.words import nearest_tokens, table_of_words
from gta.cohort.tables import Cohort
from gta.language.models import load_frozen

#: Prototypes that are listed of each tile, and the vocabulary tokens that are named of each.
PROTOTYPES, TOKENS = 3, 5


@dataclass(frozen=True)
class Detail:
    """Tables of the genes shown in detail, one below the other.

    Attributes:
        integrated: `gene contig start end tile distance integrated_gradients n_seeds`, as the table of tiles.
        completeness: `gene seed change attributed gap`: the predicted mean minus that of a window of average tiles, the sum of
            the integrated gradients, and their difference; ln expression.
        words: The table of `table_of_words`.
        mutations: The table of `mutate`, with `n_seeds`.
    """

    integrated: pd.DataFrame
    completeness: pd.DataFrame
    words: pd.DataFrame
    mutations: pd.DataFrame


def detail(
    trained: list[Trained],
    cohort: Cohort,
    tiles: pd.DataFrame,
    genes: list[str],
    sequences: Sequences | None,
    settings: AttributionSettings,
    language_model: Path,
) -> Detail:
    """Compute the tables.

    Args:
        trained: The trained aligner of each seed.
        cohort: The cohort.
        tiles: The table of tiles.
        genes: The genes.
        sequences: Where sequence comes from; None: there is no mutagenesis.
        settings: The stage's settings.
        language_model: Folder of the language model.
    """
    integrated, completeness, words, mutations = [], [], [], []
    model = load_frozen(language_model)
    tokens = [nearest_tokens(one.aligner.prototypes, model, language_model, TOKENS) for one in trained]
    for gene in tqdm(genes, desc="genes in detail", file=sys.stderr, mininterval=5):
        number = cohort.gene_names.index(gene)
        own = tiles[tiles["gene"] == gene].reset_index(drop=True)
        back = reference_order(own["distance"].to_numpy())
        total = 0.0
        for seed, one in enumerate(trained, start=1):
            found, change, gap = integrated_gradients(one, number, settings.integration_steps, settings.over, settings.haplotypes)
            total = total + found[back] / len(trained)
            completeness.append((gene, seed, change, found.sum(), gap))
        columns = own[["gene", "contig", "start", "end", "tile", "distance"]]
        integrated.append(columns.assign(integrated_gradients=total, n_seeds=len(trained)))
        words.append(table_of_words(trained, number, own, tokens, settings.over, settings.haplotypes, PROTOTYPES))
        if sequences is not None:
            table = mutate(trained, cohort, number, sequences, settings.mutated_bases)
            mutations.append(table.assign(n_seeds=len(trained)))
    return Detail(
        _together(integrated, ["gene", "contig", "start", "end", "tile", "distance", "integrated_gradients", "n_seeds"]),
        pd.DataFrame(completeness, columns=["gene", "seed", "change", "attributed", "gap"]),
        _together(words, ["gene", "seed", "start", "end", "rank", "prototype", "attention", "tokens"]),
        _together(mutations, [*COLUMNS, "effect_mean", "effect_deviation", "slope", "p_value", "n_seeds"]),
    )


def _together(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
