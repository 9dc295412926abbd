"""Matching of contigs and gene ids."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gta.inputs.names import bare_gene_id, match_contigs, match_genes, nearest


def test_contigs_with_and_without_chr():
    assert match_contigs(["22", "X", "MT", "GL1"], ["chrX", "chr22", "chrM"]) == {"22": "chr22", "X": "chrX", "MT": "chrM"}
    assert match_contigs(["chrM", "Chr1"], ["1", "MT"]) == {"chrM": "MT", "Chr1": "1"}


def test_the_same_name_wins_over_a_similar_one():
    assert match_contigs(["22", "chr22"], ["22", "chr22"]) == {"22": "22", "chr22": "chr22"}
    assert match_contigs(["chr22", "22"], ["22"]) == {"22": "22"}


def test_a_contig_with_two_candidates_stays_unmatched():
    assert match_contigs(["chrMT"], ["M", "MT"]) == {}


def test_versions_are_cut_from_ensembl_ids_only():
    assert bare_gene_id("ENSG00000100181.21") == "ENSG00000100181"
    assert bare_gene_id("ENSMUSG00000000001.4") == "ENSMUSG00000000001"
    assert bare_gene_id("ENSG00000182378.14_PAR_Y") == "ENSG00000182378_PAR_Y"
    assert bare_gene_id("RP11-34P13.7") == "RP11-34P13.7"


def test_genes_match_exactly_or_without_version():
    match = match_genes(["ENSG1.1", "ENSG2", "ENSG3.5", "RP11-1.7"], ["ENSG1.1", "ENSG2.4", "ENSG3.6", "RP11-1.8"])
    assert match.names == {"ENSG1.1": "ENSG1.1", "ENSG2": "ENSG2.4", "ENSG3.5": "ENSG3.6"}
    assert (match.n_exact, match.n_unversioned) == (1, 2)


def test_a_version_in_doubt_is_not_matched():
    assert match_genes(["ENSG1.3"], ["ENSG1.1", "ENSG1.2"]).names == {}
    assert match_genes(["ENSG1.3", "ENSG1.4"], ["ENSG1.1"]).names == {}
    # The other copy of the gene is spoken for, so only one is left: still the exact one alone.
    assert match_genes(["ENSG1.1", "ENSG1.2"], ["ENSG1.1"]).names == {"ENSG1.1": "ENSG1.1"}


ids = st.sets(st.builds("ENSG{}{}".format, st.integers(0, 5), st.sampled_from(["", ".1", ".2"])))


@settings(deadline=None)
@given(ids, ids)
def test_no_two_genes_are_matched_to_one(names, targets):
    matched = match_genes(sorted(names), sorted(targets)).names
    assert len(set(matched.values())) == len(matched)
    assert set(matched) <= names and set(matched.values()) <= targets
    assert {name: matched[name] for name in names & targets} == {name: name for name in names & targets}


def test_nearest():
    assert "'HG00096'" in nearest("HG0096", ["HG00096", "NA12878"])
    assert nearest("zebra", ["HG00096"]) == "the names there are 'HG00096'"
