"""Settings of the features stage."""

from dataclasses import dataclass

from gta.settings import setting

#: Sets of transcription factors that are known by name; anything else is the path of a list.
NAMED_FACTORS = ("lymphoblastoid", "all")
#: The releases of JASPAR that the package pyjaspar carries; the last one only from its version 4 on.
JASPAR_RELEASES = tuple(f"JASPAR{year}" for year in range(2014, 2027, 2))

#: The extractors, and the function of each that makes it from the settings, as `module:function`. A new extractor is one
#: module and one row here.
EXTRACTORS = {
    "motif": "gta.features.motif:make",
    "xpresso": "gta.features.xpresso:make",
    "enformer": "gta.features.enformer:make",
    "borzoi": "gta.features.borzoi:make",
    "hf": "gta.features.hf:make",
    "cnn": "gta.features.cnn:make",
    "kmers": "gta.features.kmers:make",
}

#: Extractors that predict expression themselves.
WITH_TRACKS = ("xpresso", "enformer", "borzoi", "cnn")

#: Extractors that are trained on the study if no weights are given.
TRAINED = ("cnn",)

#: Extractors that have no weights.
WITHOUT_WEIGHTS = ("motif", "kmers")

#: Extractors so large that a cohort wants a GPU.
ON_GPU = ("enformer", "borzoi", "hf")


@dataclass(frozen=True)
class FeatureSettings:
    """How sequence becomes features."""

    extractor: str = setting(
        "motif",
        "The sequence model: motif (JASPAR matrices on both strands, for the CPU), xpresso, enformer or borzoi (published"
        " networks that read the whole window), hf (an encoder of DNA that Hugging Face transformers knows, which reads tile by"
        " tile), kmers (counts of all k-mers in each tile: with thousands of genes a strong and quick start), or cnn (a network"
        " that is trained on the mean expression of the training genes; see the section `cnn`).",
        choices=tuple(EXTRACTORS),
    )
    weights: str | None = setting(
        None,
        "Weights of the network: a file or folder, or with `revision` the id of a repository on the Hugging Face hub. Needed by"
        " every extractor but motif, kmers, and cnn, which is trained if none are given.",
    )
    revision: str | None = setting(None, "Commit of the repository on the hub; empty: `weights` is a path.")
    tile_length: int = setting(
        2048,
        "Length of a tile in bp; must divide the window's length. Shorter tiles resolve finer and cost more. Networks that read"
        " the whole window have tiles of their own.",
        minimum=64,
    )
    tokens: int = setting(
        64,
        "enformer and borzoi: the network's bins are averaged to about so many tiles, one bin each next to the TSS and ever more"
        " away from it.",
        minimum=2,
    )
    strand_average: bool = setting(
        False, "enformer and borzoi: read each sequence and its reverse complement and average the two; doubles the time."
    )
    batch: int | None = setting(
        None, "Sequences read at once; halved where memory is short. Empty: the extractor's own number.", minimum=1
    )
    precision: str = setting(
        "float32",
        "Networks compute in float32; or in bfloat16 or float16, which a GPU does faster, and which round away small differences"
        " between people.",
        choices=("float32", "bfloat16", "float16"),
    )
    compile: bool = setting(
        False, "Networks are compiled by PyTorch: minutes at the start of a job, faster passes on a GPU; needs a C++ compiler."
    )
    store: str = setting(
        "float16",
        "Precision of the stored features: float16 (the reference's in float32, everybody else's as scaled differences from it,"
        " which halves the file) or float32.",
        choices=("float16", "float32"),
    )
    jaspar_release: str = setting(
        "JASPAR2024", "motif: release of JASPAR whose CORE vertebrate matrices are scanned.", choices=JASPAR_RELEASES
    )
    factors: str = setting(
        "lymphoblastoid",
        "motif: which transcription factors are scanned: lymphoblastoid (factors bound in GM12878), all (slow), or the path of a"
        " text file with one factor name or matrix id per line.",
    )
    kmer_length: int = setting(5, "kmers: bases of a k-mer; there are 4^k features.", minimum=1, maximum=6)
    min_information: float = setting(
        0.0,
        "motif: leave out matrices with less information than so many bits, which match everywhere.",
        minimum=0,
    )
    background_gc: float = setting(
        0.41,
        "motif: share of G and C expected outside of motifs, that of the human genome.",
        minimum=0.05,
        maximum=0.95,
    )
