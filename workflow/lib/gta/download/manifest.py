"""The manifest of public data: `resources/manifest.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import yaml

from gta.errors import UserError

#: What a study's entry must name; `genotypes` is one file per contig.
ROLES = ("reference", "genotypes", "genes", "expression", "people", "gene_info", "gene2go")
#: Columns of the gene annotation that is made of `gene_info` and `gene2go`.
ANNOTATION_COLUMNS = ("gene_id", "symbol", "biotype", "description", "synonyms", "go_bp", "go_mf")


@dataclass(frozen=True)
class PublicFile:
    """A file that can be fetched.

    Attributes:
        name: Its name on disk.
        url: http or https.
        bytes: Its size, if it is published.
        md5: MD5 in lower-case hexadecimal, if it is published.
        sha256: The same for SHA-256.
        member: If the URL is that of an archive: the file in it, which the user takes out by hand.
    """

    name: str
    url: str
    bytes: int | None = None
    md5: str | None = None
    sha256: str | None = None
    member: str | None = None


@dataclass(frozen=True)
class Study:
    """The public files of a study.

    Attributes:
        name: Its key in the manifest.
        contigs: As the genotypes' URLs name them.
        expression_form: `geuvadis` or `pseudocounts`: how the expression file is read.
        roles: What each file is for -> the file, or the files by contig for `genotypes`.
    """

    name: str
    contigs: list[str]
    expression_form: str
    roles: dict[str, dict[str, PublicFile]]

    def file(self, role: str, contig: str = "") -> PublicFile:
        """The file of a role; of a contig, for `genotypes`."""
        return self.roles[role][contig]

    def named(self, name: str) -> PublicFile:
        """The file of that name.

        Raises:
            UserError: if the study has none.
        """
        files = {file.name: file for by_contig in self.roles.values() for file in by_contig.values()}
        if name not in files:
            raise UserError(f"The study {self.name} has no file {name!r}; it has {', '.join(list(files)[:3])}, ...")
        return files[name]

    @property
    def fetched(self) -> list[str]:
        """Names of the files that are fetched by URL."""
        files = [file for by_contig in self.roles.values() for file in by_contig.values()]
        return [file.name for file in files if file.member is None]


def read_study(path: Path, name: str) -> Study:
    """A study of the manifest.

    Args:
        path: The manifest, YAML.
        name: The study.

    Raises:
        UserError: if there is no such study, or its entry lacks something.
    """
    try:
        studies = yaml.safe_load(path.read_text(encoding="utf-8"))["studies"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise UserError(f"The manifest {path} cannot be read ({error}): restore it from the repository.") from error
    if name not in studies:
        raise UserError(f"study: {name!r} is none of {', '.join(studies)} (see {path}); choose one of these.")
    entry = studies[name]
    missing = [role for role in ROLES if role not in entry.get("files", {})]
    if missing:
        raise UserError(f"The manifest {path} names no file `{missing[0]}` for the study {name}: add it.")
    contigs = list(entry["contigs"])
    roles = {
        role: {contig: _file(entry["files"][role], contig) for contig in (contigs if role == "genotypes" else [""])}
        for role in ROLES
    }
    return Study(name=name, contigs=contigs, expression_form=entry["expression_form"], roles=roles)


def _file(entry: Mapping[str, Any], contig: str) -> PublicFile:
    url = entry["url"].replace("{contig}", contig)
    name = PurePosixPath(entry.get("member") or urlsplit(url).path).name
    return PublicFile(name, url, **{key: entry.get(key) for key in ("bytes", "md5", "sha256", "member")})
