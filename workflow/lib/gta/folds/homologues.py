"""Groups of homologous genes: similar promoters, or names of one family.

A gene whose paralogue was in training is not held out in full: a model can recognise the paralogue by its sequence, and by the
family's name in its text.
"""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.inputs.tables import read_table

#: Length of k-mers in bp: by chance, two stretches of 1,024 bp share none.
K = 16
#: Bases around the TSS that are compared, in bp: most of a promoter, and little of what is next to it.
STRETCH = 1024
#: Jaccard index of k-mers from which two promoters are similar: identity of about 86 % without gaps.
SIMILAR = 0.05
#: K-mers of more promoters than this are of repeats, such as Alu elements, and not counted as shared.
COMMON = 50
#: Leading letters of symbols that name no family: genes without a name of their own, numbered.
PLACEHOLDERS = frozenset({"FAM", "TMEM", "CCDC", "KIAA", "LINC", "LOC", "ORF", "MIR", "PRR", "ENSG", "DKFZ", "FLJ", "MGC"})
#: Shortest stem of a symbol, in letters.
SHORTEST_STEM = 3
#: Full names that are shared by unrelated genes, without numbers and letters.
UNSPECIFIC = re.compile(
    r"uncharacteri[sz]ed|open reading frame|family with sequence similarity|^transmembrane protein$|coiled[- ]coil domain"
    r"|long intergenic|^proline rich$|^novel|^microrna$|hypothetical"
)

_CODES = np.full(256, 255, dtype=np.uint8)
for _code, _base in enumerate(b"ACGT"):
    _CODES[_base] = _CODES[_base + 32] = _code


@dataclass(frozen=True)
class Links:
    """Pairs of genes that one reason links.

    Attributes:
        reason: sequence or family.
        pairs: (n, 2) int64, numbers of genes.
    """

    reason: str
    pairs: npt.NDArray[np.int64]


def canonical_kmers(sequence: str) -> npt.NDArray[np.uint64]:
    """Return the distinct canonical k-mers of a sequence: of each k-mer and its reverse complement, the smaller number.

    Args:
        sequence: Bases; k-mers with anything but A, C, G and T are left out.

    Returns:
        Sorted numbers, two bits per base.
    """
    codes = _CODES[np.frombuffer(sequence.encode("ascii"), dtype=np.uint8)]
    if len(codes) < K:
        return np.empty(0, dtype=np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(codes, K)
    windows = windows[(windows < 4).all(axis=1)].astype(np.uint64)
    powers = np.uint64(4) ** np.arange(K, dtype=np.uint64)
    forward = windows @ powers[::-1]
    backward = (np.uint64(3) - windows) @ powers
    return np.unique(np.minimum(forward, backward))


def similar_promoters(sequences: Iterable[str], contigs: npt.NDArray[np.int64], tss: npt.NDArray[np.int64]) -> Links:
    """Link genes whose promoters share k-mers on either strand.

    Stretches that overlap on the genome are the same sequence, not a homologous one, and link nothing.

    Args:
        sequences: The stretch around the TSS of each gene.
        contigs: (genes,) number of the contig of each gene.
        tss: (genes,) position of each TSS.
    """
    kmers = [canonical_kmers(sequence) for sequence in sequences]
    sizes = np.array([len(own) for own in kmers], dtype=np.int64)
    _, column, counts = np.unique(np.concatenate([np.empty(0, np.uint64), *kmers]), return_inverse=True, return_counts=True)
    row = np.repeat(np.arange(len(kmers)), sizes)
    shared = (counts[column] > 1) & (counts[column] <= COMMON)
    values = np.ones(int(shared.sum()), dtype=np.int32)
    matrix = sparse.csr_matrix((values, (row[shared], column[shared])), shape=(len(kmers), len(counts)))
    products = sparse.triu(matrix @ matrix.T, k=1).tocoo()
    first, second = products.row.astype(np.int64), products.col.astype(np.int64)
    jaccard = products.data / np.maximum(sizes[first] + sizes[second] - products.data, 1)
    near = (jaccard >= SIMILAR) & ((contigs[first] != contigs[second]) | (np.abs(tss[first] - tss[second]) >= STRETCH))
    return Links("sequence", np.column_stack([first[near], second[near]]))


def symbol_stem(symbol: str) -> str:
    """Return the family that a symbol names: its letters before the first digit; empty if there is none.

    Example:
        >>> symbol_stem("RPL10A"), symbol_stem("HLA-DRB1"), symbol_stem("TMEM9"), symbol_stem("C1orf112"), symbol_stem("TP53")
        ('RPL', 'HLA-DRB', '', '', '')
    """
    match = re.match(r"([A-Z][A-Z-]*?[A-Z])-?\d", symbol.upper())
    stem = match[1] if match else ""
    return "" if len(stem) < SHORTEST_STEM or stem in PLACEHOLDERS else stem


def name_stem(name: str) -> str:
    """Return a full name without numbers and single letters, in lower case; empty if nothing specific is left.

    Words that hold a digit, Roman numerals and single letters are left out, Greek letters too.

    Example:
        >>> name_stem("ribosomal protein L10a"), name_stem("keratin 18"), name_stem("transmembrane protein 9")
        ('ribosomal protein', 'keratin', '')
    """
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    kept = [word for word in words if not _NUMBER.fullmatch(word)]
    text = " ".join(kept)
    return "" if len(kept) == len(words) or len(text) < SHORTEST_STEM or UNSPECIFIC.search(text) else text


_NUMBER = re.compile(r"\w*\d\w*|[a-z]|[ivx]+|alpha|beta|gamma|delta|epsilon|zeta|eta|theta|like|pseudogene|member|subunit|type")


def same_family(symbols: Iterable[str], names: Iterable[str]) -> Links:
    """Link genes of one family: the same stem of the symbol and, where both have one, of the full name.

    Either alone links too much: `ATP` stands for pumps and synthases, `binding protein` for nearly anything. The links of a
    family are a chain: the first gene with the second, the second with the third.

    Args:
        symbols: Symbol of each gene.
        names: Full name of each gene; empty: unknown.
    """
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, (symbol, name) in enumerate(zip(symbols, names, strict=True)):
        stems = symbol_stem(symbol), name_stem(name)
        if stems[0] and (stems[1] or not name):
            members[stems].append(number)
    pairs = [pair for numbers in members.values() for pair in itertools.pairwise(numbers)]
    return Links("family", np.array(pairs, dtype=np.int64).reshape(-1, 2))


def group(names: list[str], links: Iterable[Links]) -> Iterator[tuple[str, str, str]]:
    """Yield the genes that are linked with others: gene, group, reasons.

    Groups are what links connect, directly or through other genes.

    Args:
        names: Names of all genes.
        links: The links.

    Returns:
        In the order of the genes: name, number of the group (by the first gene, from 1), and what links the gene itself with
        others, joined by `+`.
    """
    every = list(links)
    pairs = np.concatenate([np.empty((0, 2), np.int64), *(each.pairs for each in every)])
    ones = np.ones(len(pairs), dtype=np.int8)
    graph = sparse.coo_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(len(names), len(names)))
    _, label = connected_components(graph, directed=False)
    sizes = Counter(label.tolist())
    linked = {each.reason: set(each.pairs.ravel().tolist()) for each in every}
    numbers: dict[int, int] = {}
    for number, name in enumerate(names):
        if sizes[label[number]] > 1:
            of = numbers.setdefault(int(label[number]), len(numbers) + 1)
            yield name, str(of), "+".join(reason for reason, genes in linked.items() if number in genes)


def straddling(group_of: Mapping[str, str], fold_of: Mapping[str, int]) -> set[str]:
    """Return the genes with a homologue that another fold holds out: it was in training or validation where they were held out.

    Args:
        group_of: Gene -> group; genes without homologues may be absent.
        fold_of: Gene -> fold in which it is held out, of all genes with expression.
    """
    folds: dict[str, set[int]] = defaultdict(set)
    for gene, own in group_of.items():
        if gene in fold_of:
            folds[own].add(fold_of[gene])
    return {gene for gene, own in group_of.items() if gene in fold_of and len(folds[own]) > 1}


def read_straddling(table: Path, cohort: Cohort) -> set[str]:
    """Return the genes of a cohort with folds that have a homologue in another fold.

    Args:
        table: The table `gene group reason`.
        cohort: The study's cohort.

    Raises:
        UserError: if the table is absent or broken, or the cohort has no folds.
    """
    if "fold" not in cohort.genes:
        raise UserError(f"{table} is given, but genes.tsv of the cohort has no column fold: make the cohort with folds.")
    rows = read_table(table, ("gene", "group"))
    genes = cohort.genes[cohort.genes["fold"] > 0]
    fold_of = dict(zip(genes["gene"], genes["fold"].tolist(), strict=True))
    return straddling(dict(zip(rows["gene"], rows["group"], strict=True)), fold_of)
