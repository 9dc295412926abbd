"""The rules as text, for tests that hold for each of them."""

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Rule:
    """A rule of the workflow: its name, its file, and its directives as text."""

    name: str
    file: Path
    directives: dict[str, str]

    @property
    def command(self) -> str:
        """The shell command, its strings joined."""
        return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', self.directives["shell"]))


def read_rules() -> list[Rule]:
    """All rules of workflow/rules."""
    rules = []
    for file in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk")):
        for name, body in re.findall(r"^rule (\w+):\n((?:(?: .*)?\n)*)", file.read_text(), flags=re.MULTILINE):
            parts = re.split(r"^    (\w+):", body, flags=re.MULTILINE)
            rules.append(Rule(name, file, dict(zip(parts[1::2], parts[2::2], strict=True))))
    return rules
