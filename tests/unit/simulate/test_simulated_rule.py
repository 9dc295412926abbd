"""The truth tables and the expression agree with the stated rule, recomputed independently from the other files."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gta.simulate.motifs import FACTORS, effect_at, load_motifs
from gta.simulate.settings import SimulateSettings


def test_occupancy_of_the_consensus_and_of_background() -> None:
    for motif in load_motifs():
        best = motif.score(motif.consensus)
        assert motif.occupancy(best) == pytest.approx(0.9525741)  # 1 / (1 + e^-3)
        assert motif.occupancy(best - 3) == pytest.approx(0.5)
        # A random sequence is as good as unbound, and a single wrong base at the best column already loosens the site.
        expected_background = motif.log_odds.mean(axis=0).sum()
        assert motif.occupancy(expected_background) < 1e-4
        column = int(motif.information.argmax())
        wrong = motif.consensus.copy()
        wrong[column] = motif.log_odds[:, column].argmin()
        assert motif.occupancy(motif.score(wrong)) < 0.35


def test_effect_falls_to_one_over_e_at_25_kb() -> None:
    motif = load_motifs()[0]
    assert effect_at(motif, 0) == 0.9
    assert effect_at(motif, -25_000) == effect_at(motif, 25_000) == pytest.approx(0.9 / math.e)


def test_effects_in_the_table_are_those_of_the_code() -> None:
    text = (Path(__file__).parents[3] / "docs" / "simulation.md").read_text()
    for name, matrix_id, effect in FACTORS:
        assert f"| {name} | {matrix_id} | {effect:+.1f} |".replace("-", "−") in text.replace("-", "−")


def test_genetic_variance_is_that_of_the_rule(cohort: Any, genetic: np.ndarray, small: SimulateSettings) -> None:
    assert (genetic.var(axis=1) > 0).sum() >= 0.7 * small.genes
    np.testing.assert_allclose(genetic.var(axis=1), cohort.genes.genetic_variance, rtol=1e-6, atol=1e-14)
    total = cohort.genes.genetic_variance + cohort.genes.noise_variance
    np.testing.assert_allclose(cohort.genes.heritability, cohort.genes.genetic_variance / total, rtol=1e-8)


def test_expression_is_level_plus_sites_plus_what_is_left(cohort: Any, genetic: np.ndarray, small: SimulateSettings) -> None:
    assert list(cohort.expression.gene) == list(cohort.genes.gene)
    log_tpm = np.log(cohort.expression.iloc[:, 6:].to_numpy())
    rest = log_tpm - cohort.genes.level.to_numpy()[:, None] - genetic
    expected = (cohort.genes.noise_variance + cohort.genes.covariate_variance).to_numpy()
    standard_error = np.sqrt(2 * expected / small.people)
    assert (np.abs(rest.mean(axis=1)) < 4 * standard_error).all()
    assert rest.var(axis=1).sum() / expected.sum() == pytest.approx(1, abs=0.25)
    # The rest knows nothing of the sites: over all genes, what the rule says enters with slope 1.
    centred = genetic - genetic.mean(axis=1, keepdims=True)
    weights = 1 / expected[:, None]
    slope = (weights * centred * (log_tpm - log_tpm.mean(axis=1, keepdims=True))).sum() / (weights * centred**2).sum()
    assert slope == pytest.approx(1, abs=0.15)


def test_two_hidden_factors_explain_what_is_shared(cohort: Any, genetic: np.ndarray) -> None:
    log_tpm = np.log(cohort.expression.iloc[:, 6:].to_numpy())
    rest = log_tpm - log_tpm.mean(axis=1, keepdims=True) - (genetic - genetic.mean(axis=1, keepdims=True))
    rest /= rest.std(axis=1, keepdims=True)
    strengths = np.linalg.svd(rest, compute_uv=False) ** 2
    shares = strengths / strengths.sum()
    assert shares[:2].sum() > 0.3  # about 0.2 without factors
    assert shares[1] > 1.5 * shares[2]


def test_effect_per_allele_is_half_of_a_swap_in_the_reference(cohort: Any, bound: Any) -> None:
    listed = {(v.contig, v.pos): v for v in cohort.variants.itertuples()}
    assert len(listed) == len(cohort.variants)
    found = set()
    for _, element in cohort.elements.iterrows():
        reference = bound(element, {})
        for record in cohort.snvs_of(element):
            change = element.effect * (bound(element, {record.position: record.alt}) - reference)
            if abs(change) < 1e-12:
                continue
            found.add((record.contig, record.position))
            row = listed[record.contig, record.position]
            assert row.effect_per_allele == pytest.approx(change / 2, rel=1e-6)
            assert (row.gene, row.ref, row.alt, row.matrix_id) == (element.gene, record.ref, record.alt, element.matrix_id)
            assert (row.element_start, row.element_end) == (element.start, element.end)
            assert row.allele_frequency == pytest.approx(np.mean(record.calls))
    assert found == set(listed)


def test_most_genes_have_common_variants_of_consequence(cohort: Any, small: SimulateSettings) -> None:
    strong = cohort.variants[cohort.variants.effect_per_allele.abs() > 0.03]
    common = strong[strong.allele_frequency.between(0.1, 0.9)]
    assert common.gene.nunique() >= round(0.7 * small.genes)
    heritability = cohort.genes.set_index("gene").heritability[common.gene.unique()]
    assert 0.3 < heritability.median() < 0.7


def test_places_of_the_sites(cohort: Any, small: SimulateSettings) -> None:
    genes = cohort.expression.set_index("gene")
    effects = {matrix_id: effect for _, matrix_id, effect in FACTORS}
    for e in cohort.elements.itertuples():
        tss, strand = genes.loc[e.gene, "start"], genes.loc[e.gene, "strand"]
        middle = (e.start + e.end) // 2
        assert e.distance == (middle - tss if strand == "+" else tss - middle)
        assert e.effect == pytest.approx(effects[e.matrix_id] * math.exp(-abs(e.distance) / 25_000), rel=1e-9)
        if e.kind == "promoter":
            first, last = (e.start - tss, e.end - 1 - tss) if strand == "+" else (tss - e.end + 1, tss - e.start)
            assert -400 <= first <= last <= 100
        else:
            assert 2_000 <= abs(e.distance) <= small.max_distal_distance
            neighbours = cohort.expression.loc[cohort.expression["#chr"] == e.contig, "start"]
            assert ((neighbours - middle).abs() > 1_400).all()
    per_gene = (
        cohort.elements.groupby(["gene", "kind"])
        .size()
        .reset_index(name="n")
        .pivot_table(index="gene", columns="kind", values="n")
    )
    assert per_gene.promoter.between(1, 4).all()
    assert per_gene.distal.between(1, 6).all()


def test_sites_overlap_neither_each_other_nor_indels(cohort: Any) -> None:
    for contig, of_contig in cohort.elements.groupby("contig"):
        spans = sorted(zip(of_contig.start, of_contig.end, strict=True))
        assert all(left[1] <= right[0] for left, right in itertools.pairwise(spans))
        indels = [r for r in cohort.records if r.contig == contig and len(r.ref) != len(r.alt)]
        assert len(indels) > 50
        for r in indels:
            assert not any(r.position < end and start < r.position + len(r.ref) for start, end in spans)


def test_planted_sites_are_bound_unless_a_variant_makes_them(cohort: Any, bound: Any) -> None:
    varied = set(zip(cohort.variants.contig, cohort.variants.element_start, strict=True))
    for _, element in cohort.elements.iterrows():
        if (element.contig, element.start) not in varied:
            assert bound(element, {}) >= 0.6


def test_levels_follow_text_class(cohort: Any) -> None:
    # Olfactory genes are meant to be 3.2 ln units below those of translation; the residual's standard deviation is 0.8.
    levels = pd.Series(cohort.genes.level.to_numpy(), index=cohort.genes.text_class)
    assert levels["translation"].mean() - levels["olfactory"].mean() > 1.0
