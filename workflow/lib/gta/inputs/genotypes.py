"""The genotypes: linked or compressed, indexed, and compared with the reference."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pysam

from gta.errors import UserError
from gta.inputs.compression import bgzip_copy, compression_of, first_bytes, open_text, require_last_line_whole
from gta.inputs.htslib import captured_messages
from gta.inputs.index import is_index_of
from gta.inputs.names import require_clean_names

WHAT = "genotype file"
#: Records of each contig whose REF allele is compared with the reference.
RECORDS_COMPARED = 50
#: A larger share of REF alleles that are not in the reference means another genome build, not a few odd records.
TOLERATED_MISMATCHES = 0.1
#: Share of them that one reason must explain to be named: of another genome build a third does by chance.
MOST = 0.9
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def link_index(source: Path, link: Path, suffix: str, log: Callable[[str], None]) -> bool:
    """Link the index file that stands beside `source`, if it is there, not older than it, and of the file as it is.

    Args:
        source: The user's file.
        link: Where it is linked.
        suffix: What the index adds to the file's name: ".tbi".
        log: Takes a line of progress.

    Returns:
        Whether it was linked.
    """
    index = Path(f"{source}{suffix}")
    if not index.is_file() or index.stat().st_mtime < source.stat().st_mtime:
        return False
    if not is_index_of(index, source):
        log(f"genotypes: the index {index} is of another state of the file, or damaged: a new one is made")
        return False
    Path(f"{link}{suffix}").symlink_to(index.absolute())
    return True


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def require_genotypes(source: Path) -> list[str]:
    """The people of a VCF or BCF, of which no more than the beginning and the end is read.

    Args:
        source: VCF (bgzip, gzip or plain) or BCF.

    Raises:
        UserError: for a file that is neither, is cut short, or holds no people or one name twice.
    """
    kind, start = compression_of(source, WHAT), first_bytes(source, WHAT)
    is_bcf = start.startswith(b"BCF\x02")
    if not is_bcf and not start.startswith(b"##fileformat=VCF"):
        raise UserError(
            f"The {WHAT} {source} is neither VCF nor BCF (it begins {start[:20]!r}, a VCF '##fileformat=VCF'): check the path."
        )
    if is_bcf and kind != "bgzip":
        raise UserError(f"The {WHAT} {source} is an uncompressed BCF: compress it with `bcftools view -Ob -o out.bcf`.")
    require_last_line_whole(source, WHAT)
    people = people_of_bcf(source) if is_bcf else people_of_vcf(source)
    _check_people(source, people)
    return people


def place_genotypes(source: Path, folder: Path, log: Callable[[str], None] = _say) -> str:
    """Put the genotypes and their index into a folder: a link, or a bgzip copy of a plain or gzip VCF.

    Args:
        source: VCF (bgzip, gzip or plain) or BCF.
        folder: Where link and index go.
        log: Takes a line of progress.

    Returns:
        The name in the folder: `genotypes.vcf.gz` or `genotypes.bcf`.

    Raises:
        UserError: for a file that is neither, is cut short or unsorted, or holds no people, one name twice or no record.
    """
    require_genotypes(source)
    kind, is_bcf = compression_of(source, WHAT), first_bytes(source, WHAT).startswith(b"BCF")
    name = "genotypes.bcf" if is_bcf else "genotypes.vcf.gz"
    target = folder / name
    if kind == "bgzip":
        target.symlink_to(source.absolute())
    else:
        bgzip_copy(source, target, WHAT)
    suffixes = (".csi",) if is_bcf else (".tbi", ".csi")
    if kind != "bgzip" or not any(link_index(source, target, suffix, log) for suffix in suffixes):
        _build_index(source, target, is_bcf)
    return name


def people_of_vcf(path: Path) -> list[str]:
    """The people of a VCF, in its order.

    The header is read as text, because htslib refuses one with a repeated name without saying which.

    Raises:
        UserError: if the header has no #CHROM line, or one without tabs.
    """
    with open_text(path, WHAT) as handle:
        for line in handle:
            if line.startswith("#CHROM"):
                if "\t" not in line:
                    raise UserError(f"The {WHAT} {path} has a line #CHROM that is not separated by tabs: replace its spaces.")
                return line.rstrip("\r\n").split("\t")[9:]
            if not line.startswith("#"):
                break
    raise UserError(f"The {WHAT} {path} has no header line that starts with #CHROM: check how it was made.")


def people_of_bcf(path: Path) -> list[str]:
    """The people of a BCF, in its order."""
    try:
        with captured_messages(), pysam.VariantFile(str(path)) as records:
            return list(records.header.samples)
    except (OSError, ValueError) as error:
        raise UserError(f"The header of the {WHAT} {path} cannot be read ({error}): check how it was made.") from error


def _check_people(source: Path, people: list[str]) -> None:
    if not people:
        raise UserError(f"The {WHAT} {source} holds no people, only variants: give the file with one column per person.")
    require_clean_names(people, f"The {WHAT} {source}")


def _build_index(source: Path, target: Path, is_bcf: bool) -> None:
    try:
        with captured_messages() as messages:
            preset: Any = "bcf" if is_bcf else "vcf"  # pysam's type stub forgets "bcf"
            pysam.tabix_index(str(target), preset=preset, force=True, csi=is_bcf)
    except OSError as error:
        reason = " ".join(line for line in messages if line.startswith("[E::")) or str(error)
        raise _damaged(source, f"cannot be indexed ({reason}): check it, or sort it with `bcftools sort`.") from error


def _damaged(source: Path, otherwise: str) -> UserError:
    """What is wrong with genotypes that htslib cannot read: the first line at fault if it is a VCF, or else what is given."""
    is_bcf = first_bytes(source, WHAT).startswith(b"BCF")
    return UserError(f"The {WHAT} {source} {(None if is_bcf else _first_fault(source)) or otherwise}")


def _first_fault(path: Path) -> str | None:
    """Which line of a VCF is broken or out of order, and what to do; None if none is."""
    finished: set[str] = set()
    contig, position, columns = "", 0, 9 + len(people_of_vcf(path))
    order = "is not sorted by position ({}): sort it with `bcftools sort -Oz -o sorted.vcf.gz`."
    with open_text(path, WHAT) as handle:
        for number, line in enumerate(handle, start=1):
            if line.startswith("#"):
                continue
            fields = line.rstrip("\r\n").split("\t")
            if len(fields) != columns or not fields[1].isdecimal():
                return (
                    f"has no whole record in line {number} ({line[:40].rstrip()!r}): {columns} columns, separated by tabs, with a"
                    " whole number in the second, are needed; mend or remove the line."
                )
            if fields[0] != contig:
                finished.add(contig)
                if fields[0] in finished:
                    return order.format(f"line {number}: contig {fields[0]} begins a second time")
                contig, position = fields[0], 0
            if int(fields[1]) < position:
                return order.format(f"line {number}: {contig}:{fields[1]} comes after {contig}:{position}")
            position = int(fields[1])
    return None


def contigs_with_records(path: Path, source: Path) -> list[str]:
    """The contigs on which an indexed VCF or BCF has records, in the order of its header.

    The header alone does not tell: it may list contigs without records, and in old files it lists none (the index does).

    Args:
        path: The link or copy, with its index.
        source: The user's file, for the error's text.

    Raises:
        UserError: if there is none, the index does not belong to the file, or the records have no GT.
    """
    found = []
    try:
        with captured_messages(), pysam.VariantFile(str(path)) as records:
            for contig in map(str, records.header.contigs):
                record = next(records.fetch(contig), None)
                if record is None:
                    continue
                if "GT" not in record.format:
                    raise UserError(
                        f"The {WHAT} {source} has no genotypes (GT) at {contig}:{record.pos}: give a file with phased GT."
                    )
                found.append(contig)
    except (OSError, ValueError) as error:
        raise _damaged(source, f"or its index is damaged ({error}): index it again.") from error
    if not found:
        raise UserError(f"The {WHAT} {source} has no records: check how it was made.")
    return found


def compare_with_reference(
    path: Path, source: Path, reference: Path, contigs: Mapping[str, str], log: Callable[[str], None]
) -> None:
    """Compare the REF alleles of a few records of each contig with the reference: a genome build shows at once.

    The records are taken from the middle of each contig, because the first bases of several chromosomes stand at the same
    place in GRCh37 and GRCh38.

    Args:
        path: The link or copy, with its index.
        source: The user's file, for the error's text.
        reference: Indexed FASTA.
        contigs: Contig of the genotypes -> contig of the reference.
        log: Takes a line of progress.

    Raises:
        UserError: for a broken record, or if more than `TOLERATED_MISMATCHES` of them differ.
    """
    compared, exchanged, flipped, odd = 0, 0, 0, []
    with captured_messages(), pysam.VariantFile(str(path)) as records, pysam.FastaFile(str(reference)) as fasta:
        for theirs, ours in contigs.items():
            middle = fasta.get_reference_length(ours) // 2
            try:
                sample = _take(records, theirs, middle) or _take(records, theirs, 0)
            except (OSError, ValueError) as error:
                raise _damaged(source, f"or its index is damaged ({error}): index it again.") from error
            for record in sample:
                allele = (record.ref or "").upper()
                expected = fasta.fetch(ours, record.start, record.start + len(allele)).upper()
                compared += 1
                if allele != expected:
                    alleles = [alternative.upper() for alternative in record.alts or ()]
                    exchanged += any(
                        each == fasta.fetch(ours, record.start, record.start + len(each)).upper() for each in alleles
                    )
                    flipped += allele.translate(COMPLEMENT) == expected
                    odd.append(
                        f"{theirs}:{record.pos} has REF {allele[:20]!r}, the reference {expected[:20]!r}"
                        if expected
                        else f"{theirs}:{record.pos} is past its end"
                    )
    if len(odd) > TOLERATED_MISMATCHES * compared:
        raise UserError(
            f"The {WHAT} {source} does not fit the reference: {len(odd)} of {compared} REF alleles differ (e.g. {odd[0]});"
            f" {_reason(len(odd), exchanged, flipped)}"
        )
    log(f"genotypes: {compared - len(odd)} of {compared} REF alleles looked at agree with the reference")
    if odd:
        log(f"genotypes: warning: {odd[0]}")


def _reason(odd: int, exchanged: int, flipped: int) -> str:
    """Say why REF alleles may differ from the reference, and what to do.

    Args:
        odd: Records whose REF allele differs.
        exchanged: Those of them with an ALT allele that the reference has.
        flipped: Those of them whose REF allele is that of the other strand.
    """
    if exchanged >= MOST * odd:
        return (
            f"in {exchanged} of these {odd} the reference has an ALT allele: REF and ALT are exchanged, as PLINK writes them (the"
            " commoner allele as REF). Put them right with `plink2 --ref-from-fa force` or `bcftools norm --check-ref s`."
        )
    if flipped >= MOST * odd:
        return (
            f"{flipped} of these {odd} fit on the other strand: the alleles are those of an array's strand. Put them right with"
            " `bcftools +fixref`."
        )
    return "give the reference of the genome build that the genotypes were called on."


def _take(records: pysam.VariantFile, contig: str, start: int) -> list[pysam.VariantRecord]:
    return [record for record, _ in zip(records.fetch(contig, start), range(RECORDS_COMPARED), strict=False)]
