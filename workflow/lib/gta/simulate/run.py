"""The whole simulation, from settings to a folder of files."""

import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gta.simulate import names, write
from gta.simulate.alleles import choose_alleles
from gta.simulate.elements import Site, choose_causal_genes, make_ground, plant_sites
from gta.simulate.expression import CausalVariant, make_expression, read_site
from gta.simulate.genotypes import simulate_genotypes
from gta.simulate.layout import lay_out
from gta.simulate.modulation import draw_multipliers
from gta.simulate.motifs import load_motifs
from gta.simulate.reference import make_sequence, repeat_mask, to_fasta_bases
from gta.simulate.settings import SimulateSettings, check
from gta.simulate.text import write_texts

_PARTS = ("layout", "genotypes", "reference", "elements", "alleles", "text", "expression", "modulation")


def _say(text: str) -> None:
    print(f"simulate: {text}", file=sys.stderr, flush=True)


def _generators(seed: int) -> dict[str, np.random.Generator]:
    """One generator per part, so that a change of one part leaves the random numbers of the others as they are."""
    return {part: np.random.default_rng([seed, i]) for i, part in enumerate(_PARTS)}


def simulate(settings: SimulateSettings, folder: Path) -> None:
    """Write the files of `simulated/` (docs/contracts.md) into a folder; other files in it stay.

    Args:
        settings: What to simulate; see `docs/simulation.md` for the rule.
        folder: Where to write; made if need be. Nothing is written there if the simulation fails.

    Raises:
        UserError: if the settings contradict each other, the sites find no room or the folder cannot be written.
    """
    check(settings)
    began = time.monotonic()
    rng = _generators(settings.seed)
    motifs = load_motifs()
    people = names.person_names(settings)
    layout = lay_out(settings, rng["layout"])
    causal_genes = choose_causal_genes(settings, rng["elements"])
    causal_of = dict(zip(names.gene_names(settings), causal_genes.tolist(), strict=True))
    row_of = {gene.name: i for i, gene in enumerate(layout.genes)}
    texts = write_texts(settings.genes, settings.annotated_genes, rng["text"])
    multipliers = draw_multipliers(settings.text_modulates, rng["modulation"])

    sites: list[Site] = []
    variants: list[CausalVariant] = []
    sequences: dict[str, NDArray[np.uint8]] = {}
    genetic = np.zeros((settings.genes, settings.people))
    n_variants = 0
    with write.published(folder) as temporary:
        vcf = write.VcfWriter(temporary / "genotypes.vcf.gz", layout.lengths, people)
        for contig, genotypes in simulate_genotypes(settings, layout, rng["genotypes"]):
            genes = layout.of_contig(contig)
            sequence = make_sequence(layout.lengths[contig], genes, rng["reference"])
            mask = repeat_mask(layout.lengths[contig], genes, rng["reference"])
            ground = make_ground(sequence, genotypes, genes)
            planted: list[Site] = []
            for gene in genes:
                of_gene = plant_sites(ground, gene, causal_of[gene.name], motifs, settings, rng["elements"])
                text_class = texts[row_of[gene.name]].text_class.name
                planted += [
                    dataclasses.replace(site, effect=site.effect * multipliers[text_class, site.motif.name])
                    for site in sorted(of_gene, key=lambda site: site.start)
                ]
            refs, alts = choose_alleles(ground, rng["alleles"])
            for site in planted:
                contribution, changes = read_site(ground, site, refs, alts)
                genetic[row_of[site.gene]] += contribution
                variants += changes
            vcf.add_contig(contig, genotypes, refs, alts)
            sequences[contig] = to_fasta_bases(ground.sequence, mask)
            sites += planted
            n_variants += len(refs)
            _say(f"{contig}: {layout.lengths[contig]:,} bp, {len(genes)} genes, {len(refs):,} variants")
        vcf.close()

        offsets = settings.text_effect * np.array([text.text_class.offset for text in texts[: settings.genes]])
        expression = make_expression(genetic, offsets, causal_genes, rng["expression"])

        symbols = names.gene_symbols(settings)
        populations = names.person_populations(settings)
        write.write_reference(temporary / "reference.fa", sequences)
        write.write_gtf(temporary / "genes.gtf", layout.genes, symbols)
        write.write_expression(temporary / "expression.bed.gz", layout.genes, people, expression.values)
        write.write_annotation(temporary / "annotation.tsv", names.annotated_gene_names(settings), symbols, texts)
        write.write_table(temporary / "people.tsv", "person population", zip(people, populations, strict=True))
        write.write_truth_elements(temporary / "truth_elements.tsv", sites)
        write.write_truth_variants(temporary / "truth_variants.tsv", variants)
        write.write_truth_genes(temporary / "truth_genes.tsv", layout, expression, texts)
        write.write_truth_modulation(temporary / "truth_modulation.tsv", multipliers)
    _say(
        f"{settings.people} people, {settings.genes} genes, {n_variants:,} variants, {len(variants)} of them causal, "
        f"in {time.monotonic() - began:.1f} s -> {folder}"
    )
