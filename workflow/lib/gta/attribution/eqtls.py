"""Do predicted effects have the sign of effects that are known from elsewhere: published eQTLs, or planted variants?"""

import sys
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from gta.aligner.predict import Trained
from gta.attribution.known import EQTLS, read_eqtl_rows
from gta.attribution.mutagenesis import Sequences, agreement, effects, slopes
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.inputs.names import match_contigs, match_genes
from gta.inputs.tables import read_table

COLUMNS = (
    *("gene", "split", "contig", "position", "ref", "alt", "distance", "known_slope"),
    *("effect_mean", "effect_deviation", "slope", "p_value", "n_seeds"),
)

#: If a larger share of the variants has neither allele in the reference, the table is of another genome build.
MOST_STRANGERS = 0.1


def read_eqtls(path: Path) -> pd.DataFrame:
    """Known eQTLs as the user gives them.

    Args:
        path: TSV with the columns gene (or gene_id), variant (`chr1_12345_A_G`: position counted from 1, REF, ALT) and slope (per
            ALT allele); p_value is optional. Of each gene the variant with the smallest p-value counts, without p-values the
            first.

    Returns:
        `gene contig position ref alt known_slope`, one row per gene, position in bp, 0-based.

    Raises:
        UserError: naming the line of a variant or number that cannot be read.
    """
    rows = read_eqtl_rows(path)
    if all(row.p_value is not None for row in rows):
        rows.sort(key=lambda row: float(row.p_value or 0.0))
    columns = ["gene", "contig", "position", "ref", "alt", "known_slope"]
    kept = [(row.gene, row.contig, row.position, row.ref, row.alt, row.slope) for row in rows]
    return pd.DataFrame(kept, columns=columns).drop_duplicates("gene", ignore_index=True)


def read_planted(path: Path) -> pd.DataFrame:
    """The planted variant of each gene of a simulation that explains most of the variance between people, as `read_eqtls`."""
    numbers = ("effect_per_allele", "allele_frequency")
    columns = {"pos": "position", "effect_per_allele": "known_slope"}
    table = read_table(path, ("gene", "contig", "pos", "ref", "alt", *numbers), ("pos",)).astype(dict.fromkeys(numbers, float))
    frequency = table["allele_frequency"]
    table["variance"] = table["effect_per_allele"] ** 2 * 2 * frequency * (1 - frequency)
    table = table.sort_values("variance", ascending=False, kind="stable").drop_duplicates("gene").rename(columns=columns)
    return table[["gene", "contig", "position", "ref", "alt", "known_slope"]].reset_index(drop=True)


def place(known: pd.DataFrame, cohort: Cohort, sequences: Sequences, path: Path) -> pd.DataFrame:
    """Those of the known variants that lie in the window of their gene, with the alleles as the reference has them.

    Args:
        known: The table of `read_eqtls`.
        cohort: The cohort.
        sequences: With the reference.
        path: Of the table, for messages.

    Returns:
        The same columns, gene and contig by the names of the cohort. Where the reference has ALT and not REF, the alleles
        are exchanged and the slope has the other sign.

    Raises:
        UserError: if no gene is of the cohort, or many variants have neither allele in the reference.
    """
    names = match_genes(known["gene"], cohort.gene_names).names
    if not names:
        raise UserError(
            f"The {EQTLS} {path} has none of the cohort's genes: give the same kind of gene ids, such as {cohort.gene_names[0]}."
        )
    contigs = match_contigs(known["contig"], list(sequences.reference.lengths))
    known = known.assign(gene=known["gene"].map(names), contig=known["contig"].map(contigs)).dropna()
    about = cohort.genes.set_index("gene").loc[known["gene"]]
    inside = (
        (known["contig"].to_numpy() == about["contig"].to_numpy())
        & (known["position"].to_numpy() >= about["window_start"].to_numpy())
        & (known["position"].to_numpy() < about["window_end"].to_numpy())
    )
    rows, strangers = [], 0
    for gene, contig, position, ref, alt, slope in known[inside].itertuples(index=False):
        bases = sequences.reference.fetch(contig, position, position + max(len(ref), len(alt))).tobytes().decode()
        if bases.startswith(ref):
            rows.append((gene, contig, position, ref, alt, slope))
        elif bases.startswith(alt):
            rows.append((gene, contig, position, alt, ref, -slope))
        else:
            strangers += 1
    if strangers > MOST_STRANGERS * (strangers + len(rows)):
        raise UserError(
            f"The {EQTLS} {path} has {strangers} variants with neither allele in the reference: it is of another genome build;"
            " lift it over, or give that of this build."
        )
    print(f"known eQTLs: {len(known)} of genes of the cohort, {len(rows)} in the window of their gene", file=sys.stderr)
    return pd.DataFrame(rows, columns=["gene", "contig", "position", "ref", "alt", "known_slope"])


def known_effects(trained: list[Trained], cohort: Cohort, placed: pd.DataFrame, sequences: Sequences) -> pd.DataFrame:
    """What the model predicts of each known variant, and what the test people show.

    Args:
        trained: The trained aligner of each seed.
        cohort: The cohort.
        placed: The table of `place`.
        sequences: Where sequence comes from.

    Returns:
        `COLUMNS`: the effects are those of `gta.attribution.mutagenesis.mutate`, ALT minus REF; `slope` and `p_value` are of the
        test people, NaN where the cohort lacks the variant or all of them have the same genotype.
    """
    rows, people = [], cohort.people_numbers("test")
    numbers = {gene: number for number, gene in enumerate(cohort.gene_names)}
    for record in tqdm(placed.to_dict("records"), desc="known eQTLs", file=sys.stderr, mininterval=5):
        number = numbers[record["gene"]]
        gene, one = cohort.genes.iloc[number], pd.DataFrame([record])
        mean, deviation = effects(trained, number, gene, one, sequences)[0]
        slope, p_value = slopes(sequences.panel(gene), one, cohort.expression[number], people)[0]
        distance = (record["position"] - int(gene["tss"])) * (1 if gene["strand"] == "+" else -1)
        about = {"split": gene["split"], "distance": distance}
        values = about | {"effect_mean": mean, "effect_deviation": deviation, "slope": slope, "p_value": p_value}
        rows.append(record | values | {"n_seeds": len(trained)})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def known_signs(table: pd.DataFrame, against: str) -> list[tuple[object, ...]]:
    """Rows of `signs.tsv` about known variants: the model's signs against theirs, and as a control those of the test people.

    The model's also in genes of the split test alone: it was trained on people of the others.

    Args:
        table: Of `known_effects`.
        against: What the known slopes are called.
    """
    rows: list[tuple[object, ...]] = []
    unseen = table[table["split"] == "test"]
    for what, column, chosen in (
        ("predicted", "effect_deviation", table),
        ("predicted, unseen genes", "effect_deviation", unseen),
        ("test people", "slope", table),
    ):
        known = chosen[chosen[column].notna() & (chosen[column] != 0) & (chosen["known_slope"] != 0)]
        rows.append((what, against, 1.0, *agreement(known[column].to_numpy(), known["known_slope"].to_numpy())))
    return rows
