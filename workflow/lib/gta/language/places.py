"""Where language models are: what a path of the configuration names, found without reading it."""

from pathlib import Path

from gta.errors import UserError


def find_gguf(given: Path) -> Path | None:
    """The GGUF file that a path names: the file itself, or the one in a folder that is no Hugging Face folder; None if neither.

    Raises:
        UserError: if a folder holds several.
    """
    if given.suffix.lower() == ".gguf":
        return given
    if not given.is_dir() or (given / "config.json").exists():
        return None
    files = sorted(path for path in given.iterdir() if path.suffix.lower() == ".gguf")
    if len(files) > 1:
        raise UserError(f"language.model: {given} holds {len(files)} GGUF files; name one of them, such as {files[0].name}.")
    return files[0] if files else None
