"""The page that a reviewer reads first: what was run on what, the headline, what it means and what it does not."""

import base64
import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gta.attribution.strength import gene_strength
from gta.cohort.tables import read_genes, read_people
from gta.errors import UserError
from gta.evaluation.headline import read_summary, regimes_with_predictions
from gta.evaluation.models import ACROSS_GENES, HEADLINE_METRICS, REGIMES, SEEN_GENES, UNSEEN_GENES, WITHOUT_HOMOLOGUES
from gta.evaluation.tables import read_numbers
from gta.files import atomic_path, require_file
from gta.inputs.tables import read_table
from gta.report import findings
from gta.report.findings import DIFFERENCES, GC, NEARNESS, interval, number, verdict

#: Genes with a q-value up to this count as predicted.
LEVEL = 0.05

_REGIMES = {
    ACROSS_GENES: (
        "Across genes: unseen genes, unseen people",
        "Are genes that were not in training put in the right order by their level? Levels are means over the held-out people."
        " High numbers are common here and say little of differences between people.",
    ),
    WITHOUT_HOMOLOGUES: (
        "Across genes without homologues in another fold",
        "The same without genes that have a homologue in another fold, which was in training where they were held out: genes with"
        " similar promoters, or of one family by name.",
    ),
    SEEN_GENES: (
        "Across people: seen genes, unseen people",
        "For each gene of the training: are people who were not in training put in the right order? The mean over genes of the"
        " correlation across people; a constant prediction counts as 0.",
    ),
    UNSEEN_GENES: (
        "Across people: unseen genes, unseen people",
        "The same for genes that were in no training: the field's open problem. A model of a gene's own genotypes cannot"
        " answer it.",
    ),
}

#: The same across genes in a study without genotypes.
_REFERENCE_STUDY = (
    "Across genes: held-out genes",
    "Does the model rank genes that were not in training by their mean expression? One prediction per gene, from the reference"
    " sequence and the text; observed expression is averaged over all individuals.",
)

#: What a study without genotypes says of the regimes across individuals.
_NO_GENOTYPES = (
    "<b>Across individuals: does not apply.</b> The study has no genotypes, so that every gene has the reference haplotype only"
    " and mean expression alone is predicted; elastic net, strongest variants and everything else about differences between"
    " individuals are left out."
)

#: The caption of a figure by the stem of its file.
_CAPTIONS = {
    "per_gene": "Spearman correlation across the held-out people, a dot per gene; diamond: mean over genes with its bootstrap"
    " interval; dashed: upper bound of the mean's null; n in the titles.",
    "across_genes": "Predicted and observed levels of unseen genes, a dot per gene, mean over the held-out people (n on the"
    " axis).",
    "cis_signal": "Genes of the training: correlation across the held-out people, with its bootstrap interval over people, over"
    " the strength of the gene's best cis variant among the training people; n in the titles.",
    "dependence": "Mean Spearman correlation across people of thirds of the genes by what is known of them, with bootstrap"
    " intervals over genes; n on the left.",
    "cohort": "People and genes by split, with their numbers, and the windows along the contigs.",
}


_LIMITS = (
    "Intervals over genes say how the number would move with other genes of the same kind, intervals over people with other"
    " people of the same populations; neither covers another division into training and test, or another cohort.",
    "p-values of the tables above are not corrected for the number of models and regimes; q-values are, for the genes of one"
    " model.",
    "Hidden factors of expression, fitted on the training people, were removed before anything was predicted: correlations with"
    " expression as measured are usually lower.",
    "R2 depends on the scale of a prediction; it means nothing for the extractor's own track, whose scale is its own.",
    "Attribution shows what a model used, not what the cell uses; figures are of the genes with most signal.",
)

#: The caption of the figure across genes in a study without genotypes.
_ACROSS_GENES_CAPTION = "Predicted and observed mean expression of held-out genes, a dot per gene, mean over all individuals."

#: Limits of a study without genotypes.
_REFERENCE_LIMITS = (
    "Intervals over genes say how the number would move with other genes of the same kind; they do not cover another division"
    " into training and test, other individuals, or another cohort.",
    "p-values of the tables above are not corrected for the number of models.",
    "Homologous genes in training and test share sequence and text.",
    *_LIMITS[3:],
)

_ORIGIN = (
    "GTA is rebuilt here from the abstract of arXiv:2410.01858: no code of it is public, and all that the abstract does not say"
    " is a choice of this project. The Spearman correlation of 0.65 across genes that it reports on Geuvadis is the paper's"
    " number, not one of these."
)

#: Figures of single genes on the page, those whose people the model tells apart most.
GALLERY = 3


_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Overview</title>
<style>
body {{ font-family: sans-serif; font-size: 14px; line-height: 1.45; margin: 1.2em auto; max-width: 76em; color: #111; }}
h1 {{ font-size: 1.4em; }} h2 {{ font-size: 1.15em; margin: 1.6em 0 0.3em; }} h3 {{ font-size: 1em; margin: 1.2em 0 0.2em; }}
p, ul {{ margin: 0.3em 0 0.6em; max-width: 56em; }}
table {{ border-collapse: collapse; margin: 0.4em 0; }}
th {{ border-bottom: 2px solid #333; text-align: left; padding: 3px 10px; vertical-align: bottom; }}
td {{ border-bottom: 1px solid #ddd; padding: 3px 8px; font-variant-numeric: tabular-nums; white-space: nowrap; }}
td.path {{ white-space: normal; overflow-wrap: anywhere; }}
figure {{ margin: 1em 0; }} img {{ max-width: 100%; }} figcaption {{ color: #444; max-width: 56em; }}
.warning {{ border-left: 4px solid #333; padding: 0.4em 0.8em; background: #f2f2f2; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


@dataclass(frozen=True)
class Sources:
    """The files of a run that the page is made of.

    Attributes:
        cohort: Folder with people.tsv and genes.tsv.
        evaluation: Folder with summary.tsv, comparisons.tsv and per_gene.tsv.
        checksums: checksums.tsv of the inputs.
        training: training.json of every training run.
        runtimes: runtimes.tsv.
        figures: SVG figures in the order in which they are shown.
        simulated: Whether the data are simulated.
        attribution: Folders of the attribution, named after their models.
    """

    cohort: Path
    evaluation: Path
    checksums: Path
    training: Sequence[Path]
    runtimes: Path
    figures: Sequence[Path]
    simulated: bool
    attribution: Sequence[Path] = ()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], path_columns: Sequence[int] = ()) -> str:
    """A table of text as HTML."""
    lines = ["<table><thead><tr>", *(f"<th>{html.escape(name)}</th>" for name in head), "</tr></thead><tbody>"]
    for row in rows:
        cells = (f"<td{' class=path' if i in path_columns else ''}>{html.escape(cell)}</td>" for i, cell in enumerate(row))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "".join([*lines, "</tbody></table>"])


def what_was_run(people: pd.DataFrame, genes: pd.DataFrame) -> str:
    """People and genes by split, and the windows, as HTML."""
    rows = []
    for what, table in (("people", people), ("genes", genes)):
        counts = table["split"].value_counts()
        rows.append([what, str(len(table)), *(str(counts.get(split, 0)) for split in ("train", "valid", "test"))])
    numbers = "All numbers below are of people of the test split; genes are of the split that each heading names."
    if reference_study(people):
        numbers = (
            "There are no genotypes: mean expression is over all individuals. Genes are of the split that each heading names."
        )
    length = int((genes["window_end"] - genes["window_start"]).iloc[0])
    populations = ", ".join(f"{name} ({n})" for name, n in people["population"].value_counts(sort=False).sort_index().items())
    contigs = ", ".join(dict.fromkeys(genes["contig"]))
    unmeasured = int((genes["split"] == "unmeasured").sum())
    remarks = f" {unmeasured} genes have no expression and are predicted only." if unmeasured else ""
    if "fold" in genes:
        remarks += (
            f" Every prediction is out of fold, {genes['fold'].max()} folds of whole chromosomes: a gene is predicted by models"
            " that were trained on other chromosomes. Learning curves, trainings and attribution are of fold 1."
        )
    return (
        _table(["", "all", "training", "validation", "test"], rows)
        + f"<p>Windows of {length:,} bp around each TSS on {html.escape(contigs)}. Populations: {html.escape(populations)}."
        f" {numbers}{remarks}</p>"
    )


def reference_study(people: pd.DataFrame) -> bool:
    """Return whether `people.tsv` of a cohort is of a study without genotypes; see `Cohort.reference_study`."""
    return bool((people["split"] == "train").all())


def headline_table(summary: pd.DataFrame, per_gene: pd.DataFrame, regime: str, no_genotypes: bool = False) -> str:
    """The headline of one regime as HTML, a row per model.

    Args:
        summary: `summary.tsv`.
        per_gene: `per_gene.tsv`.
        regime: The regime.
        no_genotypes: Whether the study has no genotypes.
    """
    across = regime in (ACROSS_GENES, WITHOUT_HOMOLOGUES)
    chosen = summary[summary["regime"] == regime].set_index(["model", "metric"])
    head = ["model", "seeds", "Spearman", "interval over genes", "interval over people", "null: mean, upper bound", "p"]
    head += ["Pearson", "R2"] + ([] if across else ["negative genes (null)", f"genes with q ≤ {LEVEL:g}"])
    rows = []
    for model in dict.fromkeys(summary["model"]):
        main = chosen.loc[(model, HEADLINE_METRICS[ACROSS_GENES if across else regime])]
        if np.isnan(main["value"]):
            rows.append([model, f"{main['n_seeds']:.0f}", "no predictions", *[""] * (len(head) - 3)])
            continue
        pearson, r2 = (
            chosen.loc[(model, name)]["value"] for name in (("pearson", "r2") if across else ("mean_pearson", "mean_r2"))
        )
        row = [
            model,
            f"{main['n_seeds']:.0f}",
            number(main["value"]),
            interval(main["ci_low"], main["ci_high"]),
            interval(main["people_ci_low"], main["people_ci_high"]),
            f"{number(main['null_mean'])}, {number(main['null_high'])}",
            f"{main['p_value']:.2g}",
            number(pearson),
            number(r2) if abs(r2) < 100 else f"{r2:.0f}",
        ]
        if not across:
            negative = chosen.loc[(model, "share_negative")]
            genes = per_gene[(per_gene["model"] == model) & (per_gene["regime"] == regime)]
            # Of several seeds, the mean: as everything else.
            found = ((genes["q_value"] <= LEVEL) & (genes["spearman"] > 0)).sum() / genes["seed"].nunique()
            row += [f"{negative['value']:.0%} ({negative['null_mean']:.0%})", f"{found:g} of {main['n_genes']:.0f}"]
        rows.append(row)
    sizes = summary.loc[summary["regime"] == regime, ["n_genes", "n_people"]].max()
    title, text = _REFERENCE_STUDY if no_genotypes else _REGIMES[regime]
    individuals = f"{sizes['n_people']:.0f} people"
    if no_genotypes:
        individuals = "one individual" if sizes["n_people"] == 1 else f"{sizes['n_people']:.0f} individuals"
    size = f"n = {sizes['n_genes']:.0f} genes, {individuals}"
    return f"<h3>{title} ({size})</h3><p>{text}</p>{_table(head, rows)}"


def comparison_table(comparisons: pd.DataFrame, model: str) -> str:
    """The differences of one model from every other as HTML; the first of the run, so it is `model_a` of its pairs."""
    chosen = comparisons[(comparisons["model_a"] == model) & (comparisons["metric"] == comparisons["regime"].map(DIFFERENCES))]
    rows = []
    for _, row in chosen.iterrows():
        over_genes, over_people = (row["ci_low"], row["ci_high"]), (row["people_ci_low"], row["people_ci_high"])
        pair = f"{row['model_a']} - {row['model_b']}"
        numbers = (f"{row['n_genes']:.0f}", number(row["difference"]), interval(*over_genes), interval(*over_people))
        rows.append([_REGIMES[row["regime"]][0].split(", ")[0], pair, *numbers, verdict(*over_genes, *over_people)])
    return _table(
        ["regime", "difference", "genes", "Spearman", "interval over genes", "interval over people", f"{model} is"], rows
    )


def _figure(path: Path, caption: str = "") -> str:
    """A figure as an image inside the page, apart from others, so that names inside of them cannot clash."""
    data = base64.b64encode(require_file(path, "figure").read_bytes()).decode()
    caption = html.escape(caption or _CAPTIONS.get(path.stem, path.stem))
    return f'<figure><img alt="{caption}" src="data:image/svg+xml;base64,{data}"><figcaption>{caption}</figcaption></figure>'


@dataclass(frozen=True)
class Attribution:
    """What the page says of one model's attribution.

    Attributes:
        model: Name of the model.
        enrichment: `enrichment.tsv`.
        signs: `signs.tsv`.
        completeness: `completeness.tsv`.
        figures: Figures of single genes, the gene with the largest personal attribution first, see `gene_strength`.
    """

    model: str
    enrichment: pd.DataFrame
    signs: pd.DataFrame
    completeness: pd.DataFrame
    figures: Sequence[Path]

    @classmethod
    def read(cls, folder: Path) -> "Attribution":
        """Read the folder that `gta attribution` wrote for a model.

        Raises:
            UserError: if a table is absent or of another form.
        """
        intervals = [f"{name}{bound}" for name in ("difference", "over_gc", "beyond") for bound in ("", "_low", "_high")]
        counts = ("n_genes", "n_tiles", "n_positive", "auroc", "ci_low", "ci_high", "same_distance")
        personal = gene_strength(read_numbers(folder / "tiles.tsv", ("gene",), ("personal", "deletion")))
        figures = {path.stem: path for path in (folder / "figures").glob("*.svg")}
        order = [str(gene).replace("/", "_") for gene in personal.sort_values(ascending=False, kind="stable").index]
        return cls(
            folder.name,
            read_numbers(folder / "enrichment.tsv", ("region", "measure"), (*counts, *intervals)),
            read_numbers(folder / "signs.tsv", ("signs_of", "against"), ("threshold", "n_genes", "n_agree", "share", "p_value")),
            read_numbers(folder / "completeness.tsv", ("gene",), ("change", "gap")),
            [figures[gene] for gene in order if gene in figures],
        )


def in_short(
    summary: pd.DataFrame,
    comparisons: pd.DataFrame,
    per_gene: pd.DataFrame,
    training: Mapping[str, Mapping[str, object]],
    attributions: Sequence[Attribution],
) -> str:
    """What the run shows of its first model, as a list in HTML; every sentence is made of the tables' numbers."""
    first = str(summary["model"].iloc[0])
    settings = {name: account["settings"] for name, account in training.items()}
    said = [findings.headline_sentence(summary, first, regime) for regime in REGIMES]
    said.append(findings.baseline_sentence(comparisons, first))
    said.append(findings.text_sentence(comparisons, first))
    for ablation in findings.ablations(settings, first):  # type: ignore[arg-type]
        said.append(findings.ablation_sentence(comparisons, summary, per_gene, first, ablation))
    for attribution in attributions:
        said.append(findings.enrichment_sentence(attribution.enrichment, attribution.model))
        said.append(findings.sign_sentence(attribution.signs, attribution.model))
    items = []
    for conclusion, rest in (html.escape(text).split(". ", maxsplit=1) for text in said if text):
        items.append(f"<li><b>{conclusion}.</b> {rest}</li>")
    return f"<ul>{''.join(items)}</ul>"


def attribution_sections(attribution: Attribution, no_genotypes: bool = False) -> Iterator[str]:
    """Enrichment, completeness and the figures of the genes with most signal, as HTML."""
    yield f"<h2>Attribution of {html.escape(attribution.model)}</h2>"
    table = attribution.enrichment[attribution.enrichment["region"].isin(["all", "distal"])]
    if len(table):
        yield (
            "<p>Do tiles with known elements have larger absolute values than other tiles of the same gene? AUROC within genes,"
            " mean over genes; 0.5 is chance. An attribution has to beat nearness to the TSS and GC content, and random tiles of"
            " the same distance (<i>beyond</i>: the same measure at the same distance in other genes). <i>distal</i>: 2 kb and"
            " more from the TSS.</p>"
        )
        head = ["tiles", "measure", "genes", "tiles with elements", "AUROC", "over nearness", "over GC content", "beyond"]
        rows = []
        for _, row in table.iterrows():
            alone = row["measure"] in (NEARNESS, GC)
            differences = [
                f"{number(row[name])} {interval(row[f'{name}_low'], row[f'{name}_high'])}"
                for name in ("difference", "over_gc", "beyond")
            ]
            auroc = f"{row['auroc']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
            sizes = (f"{row['n_genes']:.0f}", f"{row['n_positive']:.0f} of {row['n_tiles']:.0f}")
            rows.append([row["region"], row["measure"], *sizes, auroc, *([""] * 3 if alone else differences)])
        yield _table(head, rows)
    gaps = attribution.completeness
    if len(gaps):
        yield (
            f"<p>Integrated gradients ({gaps['gene'].nunique()} of the genes, all seeds) add up to the change of the prediction"
            f" to within {gaps['gap'].abs().max():.2g} ln expression (greatest gap; median absolute change"
            f" {gaps['change'].abs().median():.2g}).</p>"
        )
    chosen = "whose prediction its tiles change most" if no_genotypes else "whose people the model tells apart most"
    for path in attribution.figures[:GALLERY]:
        yield _figure(
            path,
            f"{path.stem}: deletion effect and personal attribution of each tile along the window (ln expression), one of the"
            f" genes {chosen}; numbers of elements, variants and seeds in the title.",
        )


def _training(paths: Sequence[Path]) -> list[Mapping[str, object]]:
    """The contents of training.json files."""
    found = []
    for path in paths:
        try:
            found.append(json.loads(require_file(path, "account of a training").read_text(encoding="utf-8")))
        except ValueError as error:
            raise UserError(f"{path} is not JSON ({error}): train the model again.") from error
    return found


def _provenance(sources: Sources, accounts: Sequence[Mapping[str, object]]) -> str:
    """Versions, checksums, time and memory as HTML."""
    versions = accounts[0]["versions"] if accounts else {}
    frozen = sorted({str(account["language_model_sha256_after"]) for account in accounts} - {"None"})
    jobs = read_numbers(sources.runtimes, ("step", "job"), ("seconds", "cpu_seconds", "max_rss_mib"))
    checksums = read_table(sources.checksums, ("file", "bytes", "sha256"))
    assert isinstance(versions, Mapping)
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    parts = [
        f"<p>Versions: {html.escape(said)}. The language model's weights were the same before and after every training"
        + (f" (sha256 {', '.join(html.escape(checksum[:16]) for checksum in frozen)}...)" if frozen else "")
        + f". {len(jobs)} jobs, {jobs['cpu_seconds'].sum() / 60:.0f} CPU minutes in all, the longest"
        f" {jobs['seconds'].max():.0f} s by the clock, at most {jobs['max_rss_mib'].max():.0f} MiB of memory.</p>",
        _table(["input", "bytes", "sha256"], checksums[["file", "bytes", "sha256"]].to_numpy().tolist(), (0, 2)),
    ]
    return "".join(parts)


def page(sources: Sources) -> str:
    """The page as HTML.

    Raises:
        UserError: if a file is absent or of another form.
    """
    summary = read_summary(sources.evaluation / "summary.tsv")
    if summary.empty:
        raise UserError(f"{sources.evaluation / 'summary.tsv'} has no row: run `gta evaluation score` again.")
    intervals = ("ci_low", "ci_high", "people_ci_low", "people_ci_high")
    comparisons = read_numbers(
        sources.evaluation / "comparisons.tsv", ("regime", "metric", "model_a", "model_b"), ("n_genes", "difference", *intervals)
    )
    per_gene = read_numbers(sources.evaluation / "per_gene.tsv", ("model", "seed", "regime"), ("spearman", "q_value"))
    first = str(summary["model"].iloc[0])
    accounts = _training(sources.training)
    training = {path.parent.parent.name: account for path, account in zip(sources.training, accounts, strict=True)}
    attributions = [Attribution.read(folder) for folder in sources.attribution]
    people = read_people(sources.cohort)
    no_genotypes = reference_study(people)
    regimes = regimes_with_predictions(summary) if no_genotypes else list(REGIMES)
    captions = {"across_genes": _ACROSS_GENES_CAPTION} if no_genotypes else {}
    null = "genes" if no_genotypes else "genes (across genes) or people within their population (across people)"
    compared = "individuals" if no_genotypes else "held-out people"
    source = "sequence" if no_genotypes else "personal genomes"
    limits = _REFERENCE_LIMITS if no_genotypes else _LIMITS
    simulated = (
        '<p class="warning"><b>The data are simulated</b>, with regulatory variants planted at known places. The'
        " numbers say whether the software finds them, and nothing of biology.</p>"
    )
    return _PAGE.format(
        body="\n".join(
            [
                f"<h1>Gene expression from {source}: what was run, and what came out</h1>",
                f"<p>{_ORIGIN}</p>",
                simulated if sources.simulated else "",
                "<h2>In short</h2>",
                in_short(summary, comparisons, per_gene, training, attributions),
                "<h2>What was run</h2>",
                what_was_run(people, read_genes(sources.cohort)),
                "<h2>Headline</h2>",
                f"<p>Spearman correlation first; bootstrap intervals over genes and over people; the null permutes {null}. A"
                " model with several seeds is scored for each and averaged.</p>",
                *(headline_table(summary, per_gene, regime, no_genotypes) for regime in regimes),
                *([f"<p>{_NO_GENOTYPES}</p>"] if no_genotypes else []),
                f"<h2>What {html.escape(first)} adds</h2>",
                f"<p>Paired differences on the same genes and {compared}. <i>Not different</i> if one of the intervals"
                f" includes 0: these genes and {'individuals' if no_genotypes else 'people'} cannot tell. With many pairs, some"
                " exclude 0 by chance.</p>",
                comparison_table(comparisons, first),
                *(section for attribution in attributions for section in attribution_sections(attribution, no_genotypes)),
                "<h2>Figures</h2>",
                *(_figure(path, captions.get(path.stem, "")) for path in sources.figures),
                "<h2>Limits</h2>",
                "<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in limits) + "</ul>",
                "<h2>Versions, inputs, time</h2>",
                _provenance(sources, accounts),
            ]
        )
    )


def overview(sources: Sources, out: Path) -> None:
    """Read everything and write the page."""
    text = page(sources)
    with atomic_path(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
