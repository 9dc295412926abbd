"""Published genotypes in the form that can be read by region: BCF with an index, GT alone, the people of the study."""

import re
from collections.abc import Sequence
from pathlib import Path

import pysam
import pysam.bcftools

from gta.errors import UserError
from gta.files import atomic_path
from gta.inputs.compression import compression_of, open_text
from gta.inputs.genotypes import people_of_vcf
from gta.inputs.htslib import captured_messages

#: Records whose fields are looked up in the header.
RECORDS_SCANNED = 10_000
_DEFINITION = re.compile(r"##(contig|FILTER|INFO|FORMAT)=<ID=([^,>]+)")


def _bcftools(command: str, *words: str) -> None:
    """Run a command of bcftools.

    Raises:
        UserError: with what it said.
    """
    lines: list[str] = []
    try:
        with captured_messages() as lines:
            getattr(pysam.bcftools, command)(*words, catch_stdout=False)
    except pysam.SamtoolsError as error:
        said = [line for line in [*lines, *str(error).splitlines()] if line.startswith("[E::") or "rror" in line] or [str(error)]
        raise UserError(f"bcftools {command} refuses {words[-1]}: {said[0]}; download the file again.") from error


def people_in_both(vcf: Path, people: Sequence[str]) -> list[str]:
    """The people of a VCF who are wanted, in its order.

    Raises:
        UserError: if there is none.
    """
    both = [person for person in people_of_vcf(vcf) if person in set(people)]
    if not both:
        raise UserError(f"The genotypes {vcf} have none of the people of the study: check that they belong to it.")
    return both


def missing_header_lines(vcf: Path) -> list[str]:
    """Header lines for the contigs, filters and fields that the header of a VCF does not define but its first records have.

    The fields are declared as text, whatever they hold, because they are dropped.
    """
    defined: set[tuple[str, str]] = set()
    used: dict[tuple[str, str], None] = {}
    records = 0
    with open_text(vcf, "genotype file") as handle:
        for line in handle:
            found = _DEFINITION.match(line)
            if found:
                defined.add((found[1], found[2]))
            elif not line.startswith("#"):
                fields = line.rstrip("\r\n").split("\t", 9)
                used[("contig", fields[0])] = None
                used |= {("FILTER", name): None for name in fields[6].split(";") if name not in (".", "PASS")}
                used |= {("INFO", part.split("=")[0]): None for part in fields[7].split(";") if part != "."}
                used |= {("FORMAT", name): None for name in (fields[8].split(":") if len(fields) > 8 else ())}
                records += 1
                if records == RECORDS_SCANNED:
                    break
    rest = {"contig": "", "FILTER": ',Description="not described"'}
    described = ',Number=.,Type=String,Description="not described"'
    return [f"##{kind}=<ID={name}{rest.get(kind, described)}>" for kind, name in used if (kind, name) not in defined]


def convert_genotypes(vcf: Path, people: Sequence[str], out: Path) -> None:
    """Write a BCF with GT alone, of the people who are wanted.

    A plain gzip file will do, and so will a header without contigs and FORMAT fields, as Geuvadis has it: they are added.

    Args:
        vcf: Of one contig; gzip or bgzip.
        people: Who is wanted; those whom the file lacks are left out.
        out: The BCF.

    Raises:
        UserError: if the file is cut short, broken or of other people.
    """
    compression_of(vcf, "genotype file")
    both = people_in_both(vcf, people)
    with atomic_path(out) as path:
        # In this order, because bcftools chooses people and drops fields only where the header names every field.
        lines, whole, chosen = (path.with_name(name) for name in ("lines.txt", "whole.bcf", "chosen.bcf"))
        lines.write_text("".join(f"{line}\n" for line in missing_header_lines(vcf)))
        _bcftools("annotate", "--no-version", "-h", str(lines), "-Ob1", "-o", str(whole), str(vcf))
        _bcftools("view", "--no-version", "-s", ",".join(both), "-Ob1", "-o", str(chosen), str(whole))
        _bcftools("annotate", "--no-version", "-x", "INFO,^FORMAT/GT", "-Ob", "-o", str(path), str(chosen))
        for temporary in (lines, whole, chosen):
            temporary.unlink()


def join_genotypes(parts: Sequence[Path], out: Path, index: Path) -> None:
    """Write one BCF of those of all contigs, in their order, and its index (CSI)."""
    with atomic_path(out) as path:
        _bcftools("concat", "--no-version", "-Ob", "-o", str(path), *map(str, parts))
    with atomic_path(index) as path:
        _bcftools("index", "-f", "-o", str(path), str(out))
