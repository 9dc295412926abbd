"""The user's list of transcription factors, read without anything heavy."""

from pathlib import Path

from gta.errors import UserError
from gta.inputs.text_tables import read_list


def read_factors(path: Path) -> set[str]:
    """The names of factors or ids of matrices in a text file, in upper case.

    Args:
        path: One name per line; lines that start with # and empty ones are skipped.

    Raises:
        UserError: if the file cannot be read, is no text or names nothing.
    """
    if not path.is_file():
        raise UserError(f"features.factors: {path} is neither 'lymphoblastoid', 'all' nor a readable text file of factor names.")
    return {name.upper() for name in read_list(path, "file of features.factors,")}
