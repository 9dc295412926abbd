"""The template of the prompt: compiled, and checked against the columns of the annotation, without anything heavy."""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path

import jinja2
import jinja2.meta
import jinja2.nodes
import jinja2.sandbox

from gta.errors import UserError

#: Columns that say nothing of a gene: what the prompt asks for.
QUESTION = ("task", "cell_type")

#: Templates that come with the workflow.
SHIPPED = Path(__file__).resolve().parents[4] / "resources" / "prompts"


def template_file(template: str) -> Path | None:
    """The file that a setting `template` names; None if it is the text of a template itself."""
    if not template.endswith(".j2"):
        return None
    return SHIPPED / template if (SHIPPED / template).is_file() else Path(template)


def _text_of(template: str) -> str:
    """The text of a template that is given as such or as a file.

    Raises:
        UserError: if the file is not there, or is no text in UTF-8.
    """
    file = template_file(template)
    if file is None:
        return template
    if not file.is_file():
        shipped = ", ".join(sorted(path.name for path in SHIPPED.glob("*.j2")))
        raise UserError(f"language.template: there is no file {file}; give the path of one, or one of {shipped}.")
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"language.template: {file} is not text in UTF-8 ({error}); convert it.") from error


def columns_used(template: str) -> list[str]:
    """The names that a template which compiles mentions, sorted: columns of the annotation, and those of `QUESTION`."""
    environment = jinja2.sandbox.SandboxedEnvironment(autoescape=False)
    tree = environment.parse(_text_of(template))
    return sorted(jinja2.meta.find_undeclared_variables(tree) - set(environment.globals))


def compile_template(template: str, columns: Sequence[str]) -> jinja2.Template:
    """The template, ready to be rendered with the values of a gene's row.

    A name that is no column is allowed where the template asks whether it is there (`{% if go_bp %}`), unless it is a column's
    name misspelt: annotations differ in what they hold. The templates that come with the workflow are held to be spelt right.

    Args:
        template: Jinja template, or the name of a file with one.
        columns: The columns of the annotation table.

    Raises:
        UserError: for an error of syntax or an unknown name.
    """
    file, text = template_file(template), _text_of(template)
    if not text.strip():
        raise UserError("language.template: it is empty; write what the language model shall read about a gene.")
    environment = jinja2.sandbox.SandboxedEnvironment(autoescape=False)
    try:
        tree = environment.parse(text)
        compiled = environment.from_string(text)
    except jinja2.TemplateSyntaxError as error:
        raise UserError(f"language.template: {error.message} (line {error.lineno}); mend the template.") from error
    if any(jinja2.meta.find_referenced_templates(tree)):
        raise UserError("language.template: it refers to another template, which cannot be read here; write all of it in one.")
    optional = set(_asked_for(tree))
    for name in sorted(jinja2.meta.find_undeclared_variables(tree) - set(columns) - set(environment.globals)):
        near = difflib.get_close_matches(name, columns, n=1, cutoff=0.8)
        if name not in optional or (near and (file is None or file.parent != SHIPPED)):
            hint = f"did you mean {near[0]!r}?" if near else f"its columns are {', '.join(columns)}."
            raise UserError(f"language.template: {name!r} is no column of the annotation; {hint}")
    return compiled


def _asked_for(tree: jinja2.nodes.Template) -> Iterator[str]:
    """The names whose presence the template asks for: in the condition of an `if`, or with a default."""
    asked: list[jinja2.nodes.Node] = [node.test for node in tree.find_all(jinja2.nodes.If)]
    asked += [node.test for node in tree.find_all(jinja2.nodes.CondExpr)]
    asked += [node.node for node in tree.find_all(jinja2.nodes.Filter) if node.name in ("default", "d") and node.node is not None]
    for node in asked:
        names = [node] if isinstance(node, jinja2.nodes.Name) else node.find_all(jinja2.nodes.Name)
        yield from (name.name for name in names)
