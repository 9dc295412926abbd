"""Settings of the haplotypes stage."""

from dataclasses import dataclass

from gta.settings import setting


@dataclass(frozen=True)
class HaplotypeSettings:
    """How genotypes become personal sequence."""

    variants: str = setting(
        "snv",
        "Which variants are put into the sequences: snv (single bases only, so that every tile of every person covers the same "
        "reference bases) or all (insertions, deletions and longer replacements too).",
        choices=("snv", "all"),
    )
    unphased: str = setting(
        "error",
        "What to do with an unphased heterozygote (0/1): error (stop and name it), as_listed (the first entry of GT belongs to "
        "the first haplotype, as if phased) or iupac (both haplotypes carry ambiguity codes where the two alleles are equally "
        "long; as_listed where they are not).",
        choices=("error", "as_listed", "iupac"),
    )
    filters: list[str] = setting(
        [],
        "Values of FILTER, one of which a record must have to be used, such as PASS; empty: every record is used, as bcftools "
        "consensus does.",
    )
