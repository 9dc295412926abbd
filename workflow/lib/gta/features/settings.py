"""Settings of the features stage."""

from dataclasses import dataclass

from gta.settings import setting

#: Sets of transcription factors that are known by name; anything else is the path of a list.
NAMED_FACTORS = ("lymphoblastoid", "all")
#: The releases of JASPAR that the package pyjaspar carries; the last one only from its version 4 on.
JASPAR_RELEASES = tuple(f"JASPAR{year}" for year in range(2014, 2027, 2))


@dataclass(frozen=True)
class FeatureSettings:
    """How sequence becomes features."""

    extractor: str = setting(
        "motif", "The sequence model: motif scans JASPAR matrices over both strands, on the CPU.", choices=("motif",)
    )
    tile_length: int = setting(
        2048,
        "Length of a tile in bp; must divide the window's length. Shorter tiles resolve finer and cost more.",
        minimum=64,
    )
    jaspar_release: str = setting(
        "JASPAR2024", "Release of JASPAR whose CORE vertebrate matrices are scanned.", choices=JASPAR_RELEASES
    )
    factors: str = setting(
        "lymphoblastoid",
        "Which transcription factors are scanned: lymphoblastoid (factors bound in GM12878), all (slow), or the path of a text "
        "file with one factor name or matrix id per line.",
    )
