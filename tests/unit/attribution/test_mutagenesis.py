"""In-silico mutagenesis: bit for bit what whole windows give, on simulated sequence; signs and slopes by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from gta.aligner.predict import Trained
from gta.attribution.mutagenesis import (
    Sequences,
    list_mutations,
    mutant_features,
    mutate,
    predict,
    sign_agreement,
    single_mutants,
    slopes,
)
from gta.features.motif import MotifExtractor, load_motifs
from gta.features.passes import Passes
from gta.features.store import FeatureStore, GeneFeatures
from gta.haplotypes import Panel, PanelSet, Reference
from toy_cohort import make_cohort, make_language_model, make_reference_study, make_store, make_training, with_random_readout

LENGTH, TILE, TSS = 4096, 1024, 5048


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.Series, Sequences]:
    """A random window on the minus strand with three variants, one of two ALT alleles, one that nobody carries."""
    letters = np.random.default_rng(3).choice(list("ACGT"), size=12_000)
    letters[6000:6003] = "N"
    path = tmp_path_factory.mktemp("reference") / "r.fa"
    path.write_text(">c1\n" + "".join(letters) + "\n")
    import pysam

    pysam.faidx(str(path))
    positions = np.array([2900, 4023, 4024, 5050, 7300])
    refs = [letters[position].encode() for position in positions]
    alts = [tuple(other.encode() for other in "ACGT" if other != ref.decode())[:2] for ref in refs]
    haplotypes = np.array([[1, 0, 0, 1, 1], [1, 2, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 2, 0]], dtype=np.uint8)
    panels = PanelSet(
        contig="c1",
        genes=["G0"],
        people=["P0", "P1"],
        windows=np.array([[3000, 3000 + LENGTH, TSS]]),
        reaches=np.array([[2744, 3256 + LENGTH]]),
        spans=np.array([[0, len(positions)]]),
        haploid=np.zeros((1, 2), dtype=bool),
        positions=positions,
        refs=refs,
        alts=alts,
        haplotypes=haplotypes,
    )
    gene = pd.Series({"gene": "G0", "contig": "c1", "strand": "-", "tss": TSS, "window_start": 3000, "window_end": 3000 + LENGTH})
    extractor = MotifExtractor(load_motifs("JASPAR2024", "lymphoblastoid")[:12])
    return gene, Sequences({"c1": panels}, Reference(path), extractor, TILE, torch.device("cpu"))


def brute_force(gene: pd.Series, mutations: pd.DataFrame, sequences: Sequences) -> GeneFeatures:
    """Features of every block of the whole window of each mutant, the sequence changed as text."""
    margin, extractor = sequences.extractor.margin, sequences.extractor  # type: ignore[union-attr]
    start, end = int(gene["window_start"]), int(gene["window_end"])
    bases = sequences.reference.fetch(str(gene["contig"]), start - margin, end + margin)
    length = extractor.block_length(sequences.tile_length)  # type: ignore[union-attr]
    rows = []
    for mutation in [None, *mutations.itertuples()]:
        changed = bases.copy()
        if mutation is not None:
            assert chr(changed[mutation.position - start + margin]) == mutation.ref
            changed[mutation.position - start + margin] = ord(mutation.alt)
        blocks = np.stack([changed[at : at + length + 2 * margin] for at in range(0, end - start, length)])
        (scanned,) = Passes(extractor.batch, sequences.device).run(lambda batch: (extractor.scan(batch),), blocks)  # type: ignore[union-attr]
        per_tile = scanned.reshape(-1, sequences.tile_length // length, *scanned.shape[1:])
        rows.append(extractor.combine(per_tile, length).numpy())  # type: ignore[union-attr]
    tiles = len(rows[0])
    centres = start + np.arange(tiles) * sequences.tile_length + (sequences.tile_length - 1) / 2
    distance = ((TSS - centres) if gene["strand"] == "-" else (centres - TSS)).astype(np.float32)
    index = np.arange(len(rows) * tiles, dtype=np.int32).reshape(-1, tiles)
    return GeneFeatures("G0", np.concatenate(rows), index, np.empty((0, 2), np.int32), distance)


def trained_on(features: GeneFeatures) -> Trained:
    """An untrained aligner of random weights that reads a random language model."""
    toy = make_store()
    width = features.rows.shape[1]
    generator = np.random.default_rng(4)
    by_gene = {
        name: replace(
            entry,
            rows=generator.normal(size=(len(entry.rows), width)).astype(np.float32),
            index=entry.index[:, :4],
            tile_distance=features.tile_distance,
        )
        for name, entry in toy.by_gene.items()
    }
    store = FeatureStore(toy.people, [(str(i), "", "") for i in range(width)], TILE, "motif", by_gene)
    training = with_random_readout(make_training(make_cohort(toy), store, make_language_model()))
    training.aligner.eval()
    return Trained(training.aligner, training.setup.data, training.setup.reader)


def test_variants_and_bases_are_listed(window) -> None:
    gene, sequences = window
    table = list_mutations(gene, sequences.panel(gene), sequences.reference, 2)
    variants = table[table["kind"] == "variant"]
    # 2900 and 7300 lie outside of the window; nobody carries 4024; 4023 and 5050 have two ALT alleles each.
    assert variants["position"].tolist() == [4023, 4023, 5050, 5050]
    assert variants["frequency"].tolist() == [0.25, 0.25, 0.5, 0.25]
    bases = table[table["kind"] == "base"]
    assert bases["position"].tolist() == sorted([5046, 5047, 5048, 5049, 5050] * 3)
    assert (bases["ref"] != bases["alt"]).all() and bases.groupby("position")["alt"].nunique().eq(3).all()
    # On the minus strand what lies to the right is upstream.
    assert table.set_index("position")["distance"].loc[5050].iloc[0] == -2
    assert list_mutations(gene, sequences.panel(gene), sequences.reference, 0)["kind"].eq("variant").all()
    assert "N" not in set(list_mutations(gene, sequences.panel(gene), sequences.reference, 1000)["ref"])


def test_reuse_of_tiles_equals_brute_force_bit_for_bit(window) -> None:
    gene, sequences = window
    table = list_mutations(gene, sequences.panel(gene), sequences.reference, 20)
    # At the borders of tiles a change touches the neighbour, too, through the margin.
    edges = pd.concat([table.iloc[:1].assign(position=at) for at in (3000, 4020, 4027, 5119, 5120, 7095)])
    edges["ref"] = [chr(sequences.reference.fetch("c1", at, at + 1)[0]) for at in edges["position"]]
    edges["alt"] = ["A" if ref != "A" else "C" for ref in edges["ref"]]
    table = pd.concat([table, edges]).sort_values("position", kind="stable", ignore_index=True)
    reused, whole = mutant_features(gene, table, sequences), brute_force(gene, table, sequences)
    assert np.array_equal(reused.rows[reused.index], whole.rows[whole.index])
    assert np.array_equal(reused.tile_distance, whole.tile_distance)
    changed = (reused.index[1:] != reused.index[0]).sum(axis=1)
    assert changed.max() == 2 and changed.min() >= 0 and len(reused.rows) < 2 * len(table)
    one = trained_on(reused)
    for ours, brute in zip(predict(one, 3, reused), predict(one, 3, whole), strict=True):
        assert np.array_equal(ours, brute) and len(set(ours.tolist())) > 10


def test_a_gene_is_mutated_in_chunks(window, monkeypatch) -> None:
    gene, sequences = window
    cohort = make_cohort(make_store())
    cohort.genes.loc[0, list(gene.index)] = gene
    panel = sequences.panel(gene)
    people = np.random.default_rng(0).integers(0, 2, size=(40, 2)).astype(np.int32)
    monkeypatch.setattr(Sequences, "panel", lambda *_: replace(panel, carriers=people))
    one = trained_on(mutant_features(gene, list_mutations(gene, panel, sequences.reference, 1), sequences))
    whole = mutate([one, one], cohort, 0, sequences, 5)
    monkeypatch.setattr("gta.attribution.mutagenesis.CHUNK", 7)
    pieces = mutate([one], cohort, 0, sequences, 5)
    np.testing.assert_allclose(whole["effect_mean"], pieces["effect_mean"], atol=1e-5)
    assert whole["effect_deviation"].abs().max() > 1e-4
    # A variant near the TSS is among the changes of bases, and has the same effect.
    twice = whole[(whole["position"] == 5050)].groupby("alt")["effect_mean"]
    assert twice.size().max() == 2 and twice.agg(np.ptp).max() < 1e-6
    assert whole.loc[whole["kind"] == "base", "slope"].isna().all()


def test_insertions_and_deletions_are_made(window) -> None:
    gene, sequences = window
    ref = sequences.reference.fetch("c1", 4100, 4103).tobytes().decode()
    table = pd.DataFrame({"position": [4100, 4100], "ref": [ref[0], ref], "alt": [ref[0] + "TTT", ref[0]]})
    mutants = single_mutants(sequences.panel(gene), table).panel("G0")
    plain = sequences.reference.fetch("c1", 4090, 4120).tobytes().decode()
    for haplotype, expected in ((1, plain[:11] + "TTT" + plain[11:]), (2, plain[:11] + plain[13:])):
        made = mutants.sequence(haplotype, sequences.reference).tobytes().decode()
        assert expected[:27] in made


def test_slopes_equal_those_of_scipy(window) -> None:
    gene, sequences = window
    panel: Panel = sequences.panel(gene)
    generator = np.random.default_rng(1)
    panel = replace(panel, carriers=generator.integers(0, len(panel.alleles), size=(30, 2)).astype(np.int32))
    panel.carriers[3, 1] = -1
    variants = list_mutations(gene, panel, sequences.reference, 0)
    expression, people = generator.normal(size=30), np.arange(2, 28)
    found = slopes(panel, variants, expression, people)
    record = int(np.flatnonzero(panel.positions == variants["position"].iloc[0])[0])
    dosage = []
    for person in people:
        first, second = panel.carriers[person]
        both = [first, first if second < 0 else second]
        dosage.append(sum(panel.alts[record][panel.alleles[h, record] - 1].decode() == variants["alt"].iloc[0]
                          for h in both if panel.alleles[h, record] > 0))  # fmt: skip
    fit = scipy.stats.linregress(dosage, expression[people])
    np.testing.assert_allclose(found[0], (fit.slope, fit.pvalue))


def test_signs_are_counted_once_per_gene() -> None:
    table = pd.DataFrame(
        {
            "gene": ["A", "A", "B", "C", "C", "D"],
            "kind": ["variant"] * 5 + ["base"],
            "slope": [1.0, -1.0, -1.0, 1.0, 1.0, 1.0],
            "p_value": [0.01, 0.5, 0.04, 0.2, 0.3, 0.0],
            "effect_deviation": [2.0, 2.0, 1.0, 0.5, -1.0, 1.0],
        }
    )
    found = sign_agreement(table, (1.0, 0.05))
    assert found["signs_of"].eq("predicted").all() and found["against"].eq("test people").all()
    assert found[["n_genes", "n_agree"]].to_numpy().tolist() == [[3, 2], [2, 1]]
    assert found["p_value"].tolist() == [pytest.approx(1.0), pytest.approx(1.0)]
    assert sign_agreement(table[:0])["n_genes"].eq(0).all()


def test_mutagenesis_of_the_reference_alone(window) -> None:
    """Without genotypes there are no variants, and every effect is of a base on mean expression."""
    gene, sequences = window
    with_variants = sequences.panels["c1"]
    none = replace(
        with_variants,
        spans=np.array([[0, 0]]),
        positions=np.zeros(0, dtype=np.int64),
        refs=[],
        alts=[],
        haplotypes=np.zeros((4, 0), dtype=np.uint8),
    )
    sequences = replace(sequences, panels={"c1": none})
    features = mutant_features(gene, list_mutations(gene, sequences.panel(gene), sequences.reference, 3), sequences)
    toy, store = make_reference_study()
    width = features.rows.shape[1]
    rng = np.random.default_rng(4)
    by_gene = {
        name: replace(
            entry,
            rows=rng.normal(size=(4, width)).astype(np.float32),
            index=np.arange(4, dtype=np.int32)[None],
            tile_distance=features.tile_distance,
        )
        for name, entry in store.by_gene.items()
    }
    store = replace(store, by_gene=by_gene, feature_names=[(str(i), "", "") for i in range(width)], tile_length=TILE)
    training = with_random_readout(make_training(toy, store, make_language_model()))
    training.aligner.eval()
    trained = Trained(training.aligner, training.setup.data, training.setup.reader)
    genes = toy.genes.assign(**{"gene": toy.gene_names})
    genes.loc[0, ["gene", "contig", "strand", "tss", "window_start", "window_end"]] = gene
    table = mutate([trained], replace(toy, genes=genes), 0, sequences, 3)
    assert table["kind"].eq("base").all() and len(table) == 21
    assert table["effect_mean"].abs().max() > 0 and (table["effect_deviation"] == 0).all()
    assert table[["slope", "p_value", "frequency"]].isna().all(axis=None)
    # An effect is the whole prediction with the base changed minus that without.
    listed = list_mutations(gene, sequences.panel(gene), sequences.reference, 3)
    means, _ = predict(trained, 0, brute_force(gene, listed, sequences))
    np.testing.assert_allclose(table["effect_mean"], means[1:] - means[0], atol=1e-5)
