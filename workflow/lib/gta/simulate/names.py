"""The names that a simulation gives, without simulating: nothing heavy is imported here."""

from gta.simulate.settings import SimulateSettings

#: The columns of annotation.tsv.
ANNOTATION_COLUMNS = ("gene_id", "symbol", "biotype", "description", "go_bp", "go_mf")

_CONSONANTS = "BDFGKLMNPRSTVXZ"
_VOWELS = "AEIOU"
_SYLLABLES = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]
#: Coprime to 75**3, so that multiplication by it is a permutation of the 421,875 three-syllable words.
_STRIDE = 182_473


def contig_names(settings: SimulateSettings) -> list[str]:
    """Names of the contigs: sim1, sim2, ..."""
    return [f"sim{i + 1}" for i in range(settings.contigs)]


def person_names(settings: SimulateSettings) -> list[str]:
    """Names of the people in the order of the VCF: P001, P002, ..."""
    width = max(3, len(str(settings.people)))
    return [f"P{i + 1:0{width}d}" for i in range(settings.people)]


def person_populations(settings: SimulateSettings) -> list[str]:
    """Population of each person, in the order of `person_names`: equal blocks, the first ones larger by one if it must be."""
    share, rest = divmod(settings.people, len(settings.population_names))
    return [name for i, name in enumerate(settings.population_names) for _ in range(share + (1 if i < rest else 0))]


def genes_per_contig(settings: SimulateSettings) -> list[int]:
    """Number of genes on each contig: equal shares, the first ones larger by one if it must be."""
    share, rest = divmod(settings.genes, settings.contigs)
    return [share + (1 if i < rest else 0) for i in range(settings.contigs)]


def gene_names(settings: SimulateSettings) -> list[str]:
    """Ids (with version) of the genes that have expression, by contig and TSS: SIMG00001.1, SIMG00002.1, ..."""
    return annotated_gene_names(settings)[: settings.genes]


def annotated_gene_names(settings: SimulateSettings) -> list[str]:
    """Ids of all genes of annotation.tsv; the first ones are those of `gene_names`."""
    return [f"SIMG{i + 1:05d}.1" for i in range(settings.annotated_genes)]


def gene_symbols(settings: SimulateSettings) -> list[str]:
    """Symbols of all annotated genes, in the order of `annotated_gene_names`: unique pronounceable words such as LOMERI."""
    n = len(_SYLLABLES)
    symbols = []
    for i in range(settings.annotated_genes):
        word = ((i + 1) * _STRIDE) % n**3
        symbols.append(_SYLLABLES[word // n**2] + _SYLLABLES[word // n % n] + _SYLLABLES[word % n])
    return symbols


def places_of_genes(settings: SimulateSettings) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The contig of each gene that has expression, and the gene ids of each symbol."""
    contigs = [contig for contig, n in zip(contig_names(settings), genes_per_contig(settings), strict=True) for _ in range(n)]
    genes = gene_names(settings)
    symbols = gene_symbols(settings)[: len(genes)]
    return dict(zip(genes, contigs, strict=True)), {symbol: [gene] for symbol, gene in zip(symbols, genes, strict=True)}
