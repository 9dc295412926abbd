"""What text does to expression: the size of its effect on levels, and its modulation of transcription factors."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gta.simulate.modulation import draw_multipliers
from gta.simulate.motifs import FACTORS, effect_at, load_motifs
from gta.simulate.run import _generators, simulate
from gta.simulate.settings import SimulateSettings
from gta.simulate.vocabulary import CLASSES

OFFSETS = {text_class.name: text_class.offset for text_class in CLASSES}
#: Few individuals and many genes, for correlations across genes.
MANY_GENES = SimulateSettings(
    seed=4,
    people=10,
    contigs=1,
    genes=120,
    annotated_genes=120,
    mean_spacing=13_000,
    margin=15_000,
    max_distal_distance=3_000,
)


def digests(folder: Path, but: set[str]) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir() if p.name not in but}


def log_tpm(folder: Path) -> np.ndarray:
    return np.log(pd.read_csv(folder / "expression.bed.gz", sep="\t").iloc[:, 6:].to_numpy())


def multiplier_table(folder: Path) -> pd.Series:
    return pd.read_csv(folder / "truth_modulation.tsv", sep="\t").set_index(["text_class", "motif"]).multiplier


def multipliers_of_sites(simulated: Any) -> np.ndarray:
    """(sites,) by the table of the modulated cohort and the class of each site's gene."""
    classes = simulated.genes.set_index("gene").text_class
    table = multiplier_table(simulated.folder)
    elements = simulated.elements
    return np.array([table[classes[gene], motif] for gene, motif in zip(elements.gene, elements.motif, strict=True)])


def test_defaults_are_full_effect_without_modulation(cohort: Any, small: SimulateSettings, tmp_path: Path) -> None:
    simulate(replace(small, text_effect=1.0, text_modulates=False), tmp_path)
    assert digests(tmp_path, set()) == digests(cohort.folder, set())
    assert (multiplier_table(cohort.folder) == 1).all()


def test_earlier_parts_keep_their_random_numbers() -> None:
    parts = ["layout", "genotypes", "reference", "elements", "alleles", "text", "expression", "modulation"]
    generators = _generators(9)
    for i, part in enumerate(parts):
        assert generators[part].bit_generator.state == np.random.default_rng([9, i]).bit_generator.state


@pytest.mark.parametrize("text_effect", [0.0, 2.0])
def test_text_effect_moves_levels_by_the_offset_and_nothing_else(
    cohort: Any, small: SimulateSettings, tmp_path: Path, text_effect: float
) -> None:
    simulate(replace(small, text_effect=text_effect), tmp_path)
    changed = {"expression.bed.gz", "truth_genes.tsv"}
    assert digests(tmp_path, changed) == digests(cohort.folder, changed)
    genes = pd.read_csv(tmp_path / "truth_genes.tsv", sep="\t")
    pd.testing.assert_frame_equal(genes.drop(columns="level"), cohort.genes.drop(columns="level"))
    offsets = genes.text_class.map(OFFSETS)
    np.testing.assert_allclose(genes.level - cohort.genes.level, (text_effect - 1) * offsets, atol=1e-8)
    shift = log_tpm(tmp_path) - log_tpm(cohort.folder)
    np.testing.assert_allclose(shift, np.repeat(((text_effect - 1) * offsets).to_numpy()[:, None], small.people, 1), atol=2e-5)


def test_without_text_effect_levels_are_intercept_and_residual(small: SimulateSettings, tmp_path: Path) -> None:
    simulate(replace(small, text_effect=0.0), tmp_path)
    # The residuals are the first numbers that the part `expression` draws.
    residuals = _generators(small.seed)["expression"].normal(0, 0.8, size=small.genes)
    levels = pd.read_csv(tmp_path / "truth_genes.tsv", sep="\t").level
    np.testing.assert_allclose(levels, 1.0 + residuals, atol=1e-8)


def test_mean_expression_correlates_with_text_as_strongly_as_set(tmp_path: Path) -> None:
    correlations = {}
    for text_effect in (0.0, 1.0, 2.0):
        folder = tmp_path / str(text_effect)
        simulate(replace(MANY_GENES, text_effect=text_effect), folder)
        offsets = pd.read_csv(folder / "truth_genes.tsv", sep="\t").text_class.map(OFFSETS).to_numpy()
        means = log_tpm(folder).mean(axis=1)
        correlations[text_effect] = np.corrcoef(offsets, means)[0, 1]
        if text_effect == 0:
            rng = np.random.default_rng(0)
            by_chance = np.abs([np.corrcoef(rng.permutation(offsets), means)[0, 1] for _ in range(999)])
    limit = np.quantile(by_chance, 0.99)
    assert abs(correlations[0.0]) < limit < correlations[1.0] < correlations[2.0]


@pytest.mark.parametrize("seed", range(5))
def test_multipliers_are_balanced(seed: int) -> None:
    multipliers = draw_multipliers(True, np.random.default_rng(seed))
    assert (len(CLASSES), len(FACTORS)) == (10, 10)
    table = np.array([[multipliers[text_class.name, factor] for factor, _, _ in FACTORS] for text_class in CLASSES])
    assert set(table.ravel()) == {-1.0, 1.0}
    assert ((table == -1).sum(axis=0) == 5).all()
    assert ((table == -1).sum(axis=1) == 5).all()


def test_multipliers_are_random() -> None:
    drawn = np.array([list(draw_multipliers(True, np.random.default_rng(seed)).values()) for seed in range(400)])
    # Every pair is flipped in half of the seeds (standard error 0.05): nothing is left of the regular start.
    assert np.abs(drawn.mean(axis=0)).max() < 0.25
    assert (drawn[0] == list(draw_multipliers(True, np.random.default_rng(0)).values())).all()
    # Two rows of a balanced table correlate at -1/9 on average; the start has pairs at 1 and -1.
    rows = drawn.reshape(-1, 10, 10)
    products = np.einsum("sif,sjf->sij", rows, rows) / 10
    assert products[:, ~np.eye(10, dtype=bool)].mean() == pytest.approx(-1 / 9)
    assert products[:, ~np.eye(10, dtype=bool)].std() < 0.4


def test_modulation_changes_effects_alone(cohort: Any, modulated: Any) -> None:
    changed = {"expression.bed.gz", "truth_elements.tsv", "truth_variants.tsv", "truth_genes.tsv", "truth_modulation.tsv"}
    assert digests(modulated.folder, changed) == digests(cohort.folder, changed)
    pd.testing.assert_frame_equal(modulated.elements.drop(columns="effect"), cohort.elements.drop(columns="effect"))
    pd.testing.assert_frame_equal(
        modulated.variants.drop(columns="effect_per_allele"), cohort.variants.drop(columns="effect_per_allele")
    )
    pd.testing.assert_series_equal(modulated.genes.text_class, cohort.genes.text_class)
    np.testing.assert_array_equal(modulated.genes.level, cohort.genes.level)


def test_effects_of_sites_are_multiplier_times_unmodulated_effect(cohort: Any, modulated: Any) -> None:
    multipliers = multipliers_of_sites(modulated)
    np.testing.assert_array_equal(modulated.elements.effect, multipliers * cohort.elements.effect)
    assert 0.25 < (multipliers == -1).mean() < 0.75
    motifs = {motif.name: motif for motif in load_motifs()}
    for site, multiplier in zip(modulated.elements.itertuples(), multipliers, strict=True):
        assert site.effect == pytest.approx(multiplier * effect_at(motifs[site.motif], site.distance), rel=1e-9)


def test_effects_of_variants_follow_their_sites(cohort: Any, modulated: Any) -> None:
    elements = modulated.elements
    multiplier = dict(zip(zip(elements.contig, elements.start, strict=True), multipliers_of_sites(modulated), strict=True))
    expected = [multiplier[v.contig, v.element_start] * v.effect_per_allele for v in cohort.variants.itertuples()]
    np.testing.assert_array_equal(modulated.variants.effect_per_allele, expected)
    assert -1 in multiplier.values()


def test_expression_follows_the_modulated_effects(
    cohort: Any, modulated: Any, genetic: np.ndarray, modulated_genetic: np.ndarray
) -> None:
    assert np.abs(genetic - modulated_genetic).max() > 0.5
    np.testing.assert_allclose(modulated_genetic.var(axis=1), modulated.genes.genetic_variance, rtol=1e-6, atol=1e-14)

    def standardised_rest(simulated: Any, sites: np.ndarray) -> np.ndarray:
        rest = log_tpm(simulated.folder) - simulated.genes.level.to_numpy()[:, None] - sites
        return rest / np.sqrt(simulated.genes.noise_variance.to_numpy())[:, None]

    # Covariates and noise are the same draws, scaled to the noise variance.
    np.testing.assert_allclose(
        standardised_rest(modulated, modulated_genetic), standardised_rest(cohort, genetic), rtol=1e-3, atol=1e-3
    )
