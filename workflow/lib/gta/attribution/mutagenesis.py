"""In-silico mutagenesis: what single changes of the reference sequence do to the prediction.

Every change makes a haplotype of its own, which carries it alone. These haplotypes are read by the features stage's own code,
which reads each distinct piece of sequence once: of a mutant only what the change touches, with the extractor's margin.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats
import torch

from gta.aligner.data import Batch
from gta.aligner.predict import Trained
from gta.attribution.tiles import BATCH
from gta.cohort.tables import Cohort
from gta.features.build import make_work
from gta.features.extractor import Extractor
from gta.features.passes import Passes
from gta.features.store import GeneFeatures
from gta.haplotypes import Panel, PanelSet, Reference

#: Mutations that are read together: their table of alleles grows with the square of it.
CHUNK = 1024

#: Columns of `signs.tsv`: whose signs, against whose, in genes with a p-value in the test people up to a threshold.
SIGNS = ["signs_of", "against", "threshold", "n_genes", "n_agree", "share", "p_value"]

COLUMNS = ("gene", "contig", "position", "ref", "alt", "kind", "distance", "frequency")


@dataclass(frozen=True)
class Sequences:
    """Where sequence comes from and how it becomes features.

    Attributes:
        panels: Haplotype panels by contig.
        reference: The reference.
        extractor: The extractor whose features the aligners were trained on.
        tile_length: Length of a tile, bp.
        device: Where the extractor computes.
    """

    panels: dict[str, PanelSet]
    reference: Reference
    extractor: Extractor
    tile_length: int
    device: torch.device

    def panel(self, gene: pd.Series) -> Panel:
        """The panel of one gene's window, a row of `cohort/genes.tsv`."""
        return self.panels[str(gene["contig"])].panel(str(gene["gene"]))


def list_mutations(gene: pd.Series, panel: Panel, reference: Reference, bases: int) -> pd.DataFrame:
    """Every variant that somebody carries in a window, and every change of a base near the TSS.

    Args:
        gene: Row of `cohort/genes.tsv`.
        panel: The gene's panel.
        reference: The reference.
        bases: Bases on either side of the TSS base that are changed to each other base; 0: none, not even that of the TSS.

    Returns:
        `gene contig position ref alt kind distance frequency` by position (bp, 0-based): kind is `variant` or `base`, the
        distance from the TSS is in the gene's direction, the frequency is that among the cohort's haplotypes (empty for `base`).
    """
    rows: list[tuple[int, str, str, str, float]] = []
    carried = panel.carriers[panel.carriers >= 0]
    counts = np.bincount(carried, minlength=len(panel.alleles))
    for record in np.flatnonzero((panel.positions >= panel.start) & (panel.positions < panel.end)).tolist():
        for number, alt in enumerate(panel.alts[record], start=1):
            share = counts[panel.alleles[:, record] == number].sum() / len(carried)
            if share > 0:
                rows.append((int(panel.positions[record]), panel.refs[record].decode(), alt.decode(), "variant", float(share)))
    low, high = max(panel.start, panel.tss - bases), min(panel.end, panel.tss + bases + 1)
    if bases:
        for position, base in enumerate(reference.fetch(panel.contig, low, high).tobytes().decode(), start=low):
            rows += [(position, base, other, "base", np.nan) for other in "ACGT" if base in "ACGT" and other != base]
    table = pd.DataFrame(rows, columns=["position", "ref", "alt", "kind", "frequency"])
    table["gene"], table["contig"] = panel.gene, panel.contig
    table["distance"] = (table["position"] - panel.tss) * (1 if gene["strand"] == "+" else -1)
    return table.sort_values("position", kind="stable", ignore_index=True)[list(COLUMNS)]


def single_mutants(panel: Panel, mutations: pd.DataFrame) -> PanelSet:
    """Haplotypes that carry one mutation each, as if each two were those of a person.

    Args:
        panel: The gene's panel.
        mutations: M mutations by position.

    Returns:
        A set of one window; the haplotype of mutation m is the (m mod 2)-th of person m div 2.
    """
    number = len(mutations)
    people = -(-number // 2)
    haplotypes = np.zeros((2 * people, number), dtype=np.uint8)
    haplotypes[np.arange(number), np.arange(number)] = 1
    return PanelSet(
        contig=panel.contig,
        genes=[panel.gene],
        people=[str(person) for person in range(people)],
        windows=np.array([[panel.start, panel.end, panel.tss]]),
        reaches=np.array([panel.reach]),
        spans=np.array([[0, number]]),
        haploid=np.zeros((1, people), dtype=bool),
        positions=mutations["position"].to_numpy(np.int64),
        refs=[ref.encode() for ref in mutations["ref"]],
        alts=[(alt.encode(),) for alt in mutations["alt"]],
        haplotypes=haplotypes,
    )


def mutant_features(gene: pd.Series, mutations: pd.DataFrame, sequences: Sequences) -> GeneFeatures:
    """Features of the reference and of every mutant; only touched pieces of sequence are read more than once.

    Args:
        gene: Row of `cohort/genes.tsv`.
        mutations: M mutations by position, at most CHUNK.
        sequences: Where sequence comes from.

    Returns:
        Features whose haplotype 0 is the reference and 1 + m carries mutation m; carriers are empty.
    """
    mutants = single_mutants(sequences.panel(gene), mutations)
    genes = gene.to_frame().T
    work = make_work(sequences.extractor, mutants, genes, sequences.reference, sequences.tile_length)
    (built,) = work.read([gene], Passes(sequences.extractor.batch, sequences.device))
    haplotypes = np.concatenate([[0], built.carriers.ravel()[: len(mutations)]])
    nobody = np.empty((0, 2), dtype=np.int32)
    return GeneFeatures(str(gene["gene"]), built.rows, built.index[haplotypes], nobody, built.tile_distance)


@torch.no_grad()
def predict(trained: Trained, number: int, features: GeneFeatures) -> tuple[np.ndarray, np.ndarray]:
    """Predictions for haplotypes that are not in the store.

    Args:
        trained: The trained aligner.
        number: Number of the gene.
        features: H haplotypes of its window, the reference first.

    Returns:
        Predicted mean and deviation, each (H,) float64, natural log.
    """
    scaling = trained.aligner.scaling
    order = np.argsort(features.tile_distance, kind="stable")
    rows = (torch.from_numpy(features.rows) - scaling.mean) / scaling.sd
    index = torch.from_numpy(features.index[:, order].astype(np.int64))
    position = trained.data.batch([(number, np.array([0]))]).position
    means, deviations = [], []
    for at in range(0, len(index), BATCH):
        chosen = rows[index[at : at + BATCH]]
        batch = Batch(
            chosen,
            (chosen - rows[index[0]]) / scaling.difference_sd,
            position.expand(len(chosen), -1),
            torch.full((len(chosen),), number),
        )
        mean, deviation = trained.aligner(batch, trained.reader.language_model, trained.reader.prompts, trained.reader.rows)
        means.append(mean.double().numpy())
        deviations.append(deviation.double().numpy())
    return np.concatenate(means), np.concatenate(deviations)


def effects(trained: list[Trained], number: int, gene: pd.Series, mutations: pd.DataFrame, sequences: Sequences) -> np.ndarray:
    """What each mutation alone does to the prediction of the reference haplotype.

    Args:
        trained: The trained aligner of each seed.
        number: Number of the gene.
        gene: Its row of `cohort/genes.tsv`.
        mutations: M mutations by position.
        sequences: Where sequence comes from.

    Returns:
        (M, 2) float64: change of the predicted mean and deviation, ALT minus REF, ln expression, mean over seeds.
    """
    changes = np.zeros((len(mutations), 2))
    for at in range(0, len(mutations), CHUNK):
        features = mutant_features(gene, mutations.iloc[at : at + CHUNK], sequences)
        for one in trained:
            values = np.stack(predict(one, number, features), axis=1)
            changes[at : at + CHUNK] += (values[1:] - values[0]) / len(trained)
    return changes


def mutate(trained: list[Trained], cohort: Cohort, number: int, sequences: Sequences, bases: int) -> pd.DataFrame:
    """In-silico mutagenesis of one gene's window.

    Args:
        trained: The trained aligner of each seed.
        cohort: The cohort.
        number: Number of the gene.
        sequences: Where sequence comes from.
        bases: Bases on either side of the TSS that are changed.

    Returns:
        The columns of `list_mutations` and `effect_mean effect_deviation`: the prediction with the mutation minus that of the
        reference haplotype (positive: the ALT allele raises it), natural log, mean over seeds; and `slope p_value` of
        `slopes`, for variants.
    """
    gene = cohort.genes.iloc[number]
    panel = sequences.panel(gene)
    table = list_mutations(gene, panel, sequences.reference, bases)
    table["effect_mean"], table["effect_deviation"] = effects(trained, number, gene, table, sequences).T
    variants = (table["kind"] == "variant").to_numpy()
    found = np.full((len(table), 2), np.nan)
    found[variants] = slopes(panel, table[variants], cohort.expression[number], cohort.people_numbers("test"))
    table["slope"], table["p_value"] = found.T
    return table


def slopes(panel: Panel, variants: pd.DataFrame, expression: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Slopes of expression on the number of ALT alleles: least squares, one variant at a time.

    Args:
        panel: The gene's panel.
        variants: V variants of it: position, ref, alt.
        expression: (P,) expression of the gene, natural log.
        people: Numbers of the people to use: the test people, of whom the aligner has seen nothing.

    Returns:
        (V, 2): slope (ln expression per allele) and two-sided p-value; NaN where all people have the same genotype, or the panel
        has no such allele.
    """
    places = {
        (int(position), ref.decode(), alt.decode()): (record, number)
        for record, (position, ref, alts) in enumerate(zip(panel.positions, panel.refs, panel.alts, strict=True))
        for number, alt in enumerate(alts, start=1)
    }
    first, second = panel.carriers[people].T
    second = np.where(second < 0, first, second)
    found = np.full((len(variants), 2), np.nan)
    for row, (position, ref, alt) in enumerate(variants[["position", "ref", "alt"]].itertuples(index=False)):
        if (int(position), str(ref), str(alt)) not in places:
            continue
        record, number = places[int(position), str(ref), str(alt)]
        carries = panel.alleles[:, record] == number
        dosage = carries[first].astype(float) + carries[second]
        if np.ptp(dosage) > 0:
            fit = scipy.stats.linregress(dosage, expression[people])
            found[row] = fit.slope, fit.pvalue
    return found


def sign_agreement(mutations: pd.DataFrame, thresholds: tuple[float, ...] = (1.0, 0.05, 1e-3)) -> pd.DataFrame:
    """Do predicted effects of variants have the sign of their slopes in people held out?

    Neighbouring variants are inherited together and so are no independent tests: of each gene the variant with the smallest
    p-value alone is counted, if that is at most a threshold.

    Args:
        mutations: The tables of `mutate`, one after the other.
        thresholds: Greatest p-values.

    Returns:
        `SIGNS`: p-value of a two-sided binomial test against one half.
    """
    known = mutations[(mutations["kind"] == "variant") & mutations["p_value"].notna() & (mutations["effect_deviation"] != 0)]
    leads = known.sort_values("p_value", kind="stable").groupby("gene", sort=False).head(1)
    rows = []
    for threshold in thresholds:
        chosen = leads[leads["p_value"] <= threshold]
        counted = agreement(chosen["effect_deviation"].to_numpy(), chosen["slope"].to_numpy())
        rows.append(("predicted", "test people", threshold, *counted))
    return pd.DataFrame(rows, columns=SIGNS)


def agreement(first: np.ndarray, second: np.ndarray) -> tuple[int, int, float, float]:
    """In how many of n pairs the signs agree: n, that number, its share, two-sided binomial p-value against 1/2."""
    agree = int((np.sign(first) == np.sign(second)).sum())
    if not len(first):
        return 0, 0, np.nan, np.nan
    return len(first), agree, agree / len(first), float(scipy.stats.binomtest(agree, len(first)).pvalue)
