"""The user's list of transcription factors, read without anything heavy."""

from pathlib import Path

from gta.errors import UserError


def read_factors(path: Path) -> set[str]:
    """The names of factors or ids of matrices in a text file, in upper case.

    Args:
        path: One name per line; lines that start with # and empty ones are skipped.

    Raises:
        UserError: if the file cannot be read, is no text or names nothing.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"features.factors: {path} is neither 'lymphoblastoid', 'all' nor a readable text file of factor names."
        ) from error
    names = {line.strip().upper() for line in lines if line.strip() and not line.startswith("#")}
    if not names:
        raise UserError(f"features.factors: {path} names no factor; write one per line.")
    return names
