"""Writing personal sequences as text, for inspection and for other programs."""

import sys
from collections.abc import Iterator
from pathlib import Path

from gta.errors import UserError
from gta.files import atomic_path
from gta.haplotypes.reader import HaplotypeReader, WindowHaplotypes
from gta.haplotypes.windows import Window
from gta.inputs.text_tables import read_list

FASTA = (".fa", ".fasta", ".fna")
#: People whose sequences are made at once.
PEOPLE = 32


def read_people(given: str) -> list[str]:
    """The people of `--people`: a list with commas between, or the path of a file with one name per line.

    Raises:
        UserError: if there is none, or one occurs twice.
    """
    path = Path(given)
    try:
        is_file = path.is_file()
    except OSError:  # a list that is too long for a path
        is_file = False
    listed = list(read_list(path, "list of people")) if is_file else given.split(",")
    people = [person.strip() for person in listed if person.strip()]
    if not people:
        raise UserError(f"--people {given!r} names nobody: give names with commas between, or a file with one name per line.")
    if not is_file and "/" in given:
        raise UserError(f"--people {given} is no file: check the path, or give names with commas between.")
    seen: set[str] = set()
    for person in people:
        if person in seen:
            raise UserError(f"--people names {person} twice: name everybody once.")
        seen.add(person)
    return people


def export(reader: HaplotypeReader, windows: list[Window], out: Path, raw: bool, strand_aware: bool, account: Path | None) -> int:
    """Write the sequences of all people in windows, in order.

    Args:
        reader: Reads the haplotypes.
        windows: The windows.
        out: FASTA if it ends in .fa, .fasta or .fna, else a table `window person haplotype sequence`.
        raw: Write the unpadded consensus of each interval, else sequences of fixed length.
        strand_aware: Write the reverse complement in windows of the minus strand.
        account: Where to write what became of the records, if anywhere.

    Returns:
        Number of sequences.

    Raises:
        UserError: if the output is to be compressed, or a window cannot be made into sequence.
    """
    fasta = out.suffix.lower() in FASTA
    if out.suffix.lower() == ".gz":
        raise UserError(f"--out {out}: sequences are written plain; leave .gz away, and compress the file afterwards.")
    for ours, theirs in reader.contig_names.items():
        if ours != theirs and any(window.contig in (ours, theirs) for window in windows):
            print(f"contig {ours} of the reference is {theirs} in the genotypes", file=sys.stderr)
    rows: list[dict[str, object]] = []
    written = 0
    with atomic_path(out) as temporary, temporary.open("w", encoding="utf-8") as handle:
        if not fasta:
            handle.write("window\tperson\thaplotype\tsequence\n")
        for window in windows:
            haplotypes = reader.read(window)
            rows.append(haplotypes.account)
            if sum(haplotypes.padded):
                where = "left out" if raw else "N"
                print(f"{window.name}: {sum(haplotypes.padded)} bases beyond the contig's ends are {where}", file=sys.stderr)
            for person, haplotype, sequence in _sequences(haplotypes, reader.people, raw, strand_aware):
                if fasta:
                    handle.write(f">{window.name}|{person}|{haplotype}\n{sequence}\n")
                else:
                    handle.write(f"{window.name}\t{person}\t{haplotype}\t{sequence}\n")
                written += 1
    if account is not None:
        with atomic_path(account) as temporary:
            lines = ["\t".join(rows[0]), *("\t".join(map(str, row.values())) for row in rows)]
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return written


def _sequences(haplotypes: WindowHaplotypes, people: list[str], raw: bool, strand_aware: bool) -> Iterator[tuple[str, int, str]]:
    """Person, number of the haplotype and sequence of every haplotype."""
    for first in range(0, len(people), PEOPLE):
        some = slice(2 * first, 2 * min(first + PEOPLE, len(people)))
        if raw:
            texts = haplotypes.raw_sequences(some, strand_aware)
        else:
            texts = [sequence.tobytes() for sequence in haplotypes.sequences(some, strand_aware)]
        for number, text in enumerate(texts, start=some.start):
            person, second = divmod(number, 2)
            if not (second and haplotypes.haploid[person]):
                yield people[person], 1 + second, text.decode("ascii")
