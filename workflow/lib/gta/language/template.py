"""The template of the prompt: compiled, and checked against the columns of the annotation, without anything heavy."""

import difflib
from collections.abc import Iterator, Sequence

import jinja2
import jinja2.meta
import jinja2.nodes
import jinja2.sandbox

from gta.errors import UserError
from gta.language.settings import LanguageSettings


def compile_template(template: str, columns: Sequence[str]) -> jinja2.Template:
    """The template, ready to be rendered with the values of a gene's row.

    A name that is no column is allowed where the template asks whether it is there (`{% if go_bp %}`), unless it is a column's
    name misspelt: annotations differ in what they hold. The default template is held to be spelt right.

    Args:
        template: Jinja template.
        columns: The columns of the annotation table.

    Raises:
        UserError: for an error of syntax or an unknown name.
    """
    if not template.strip():
        raise UserError("language.template: it is empty; write what the language model shall read about a gene.")
    environment = jinja2.sandbox.SandboxedEnvironment(autoescape=False)
    try:
        tree = environment.parse(template)
        compiled = environment.from_string(template)
    except jinja2.TemplateSyntaxError as error:
        raise UserError(f"language.template: {error.message} (line {error.lineno}); mend the template.") from error
    if any(jinja2.meta.find_referenced_templates(tree)):
        raise UserError("language.template: it refers to another template, which cannot be read here; write all of it in one.")
    optional = set(_asked_for(tree))
    for name in sorted(jinja2.meta.find_undeclared_variables(tree) - set(columns) - set(environment.globals)):
        near = difflib.get_close_matches(name, columns, n=1, cutoff=0.8)
        if name not in optional or (near and template != LanguageSettings.template):
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
