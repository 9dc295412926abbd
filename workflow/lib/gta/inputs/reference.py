"""The reference genome: linked or re-compressed, and indexed."""

from pathlib import Path

import pysam

from gta.errors import UserError
from gta.inputs.compression import bgzip_copy, compression_of, first_bytes
from gta.inputs.htslib import captured_messages

WHAT = "reference"


def require_fasta(source: Path) -> None:
    """Refuse a file that does not begin as FASTA does.

    Raises:
        UserError: if it does not, or is compressed in another way than by bgzip or gzip.
    """
    compression_of(source, WHAT)
    start = first_bytes(source, WHAT)
    if not start.startswith(b">"):
        raise UserError(f"The {WHAT} {source} is not FASTA (it begins {start[:20]!r}, not with '>'): check the path.")


def place_reference(source: Path, folder: Path) -> str:
    """Put the reference and its index into a folder: a link, or a bgzip copy of a gzip file.

    The index is always built here: that of the user may be of another file, and says nothing of a contig that occurs twice.

    Args:
        source: FASTA: plain, bgzip or gzip.
        folder: Where link and index go.

    Returns:
        The name in the folder: `reference.fa` or `reference.fa.gz`.

    Raises:
        UserError: for a file that is no FASTA, is cut short, or names a contig twice.
    """
    require_fasta(source)
    kind = compression_of(source, WHAT)
    name = "reference.fa" if kind == "plain" else "reference.fa.gz"
    target = folder / name
    if kind == "gzip":
        bgzip_copy(source, target, WHAT)
    else:
        target.symlink_to(source.absolute())
    _build_index(source, target)
    return name


def _build_index(source: Path, target: Path) -> None:
    try:
        with captured_messages() as messages:
            pysam.faidx(str(target))
    except pysam.SamtoolsError as error:
        reason = " ".join(line for line in messages if line.startswith("[E::")) or "samtools faidx failed"
        if "bgzf" in reason:
            raise UserError(f"The {WHAT} {source} is cut short or damaged inside: copy or download it again.") from error
        if "File truncated" in reason:
            raise UserError(
                f"The {WHAT} {source} ends with the name of a contig that has no sequence: copy or download it again."
            ) from error
        raise UserError(
            f"The {WHAT} {source} cannot be indexed ({reason}): lines of a sequence must be of one length; check the file."
        ) from error
    for line in messages:
        if "Ignoring duplicate sequence" in line:
            raise UserError(f"The {WHAT} {source} holds two sequences of one name ({line}): remove one.")


def contig_lengths(path: Path) -> dict[str, int]:
    """Length of each contig in bp, in the order of the file.

    Raises:
        UserError: if the indexed FASTA cannot be opened, or a contig has no name.
    """
    try:
        with captured_messages(), pysam.FastaFile(str(path)) as fasta:
            lengths = dict(zip(fasta.references, fasta.lengths, strict=True))
    except (OSError, ValueError) as error:
        raise UserError(f"The {WHAT} {path.resolve()} or its index is damaged ({error}): index it again.") from error
    if "" in lengths:
        raise UserError(f"The {WHAT} {path.resolve()} has a sequence without a name (a line with '>' alone): name or remove it.")
    return lengths
