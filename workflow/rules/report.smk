rule report_cohort:
    input:
        cohort="<results>/cohort/genes.tsv",
        people="<results>/cohort/people.tsv",
    output:
        figure=report(
            "<results>/cohort/figures/cohort.svg",
            caption="../report/cohort.rst",
            category="1 Cohort",
            labels={"what": "Splits and windows", "form": "figure"},
        ),
    log:
        "<logs>/report/cohort.log",
    benchmark:
        "<benchmarks>/report/cohort.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=30,
    params:
        cohort=subpath(input.cohort, parent=True),
    message:
        "Drawing the splits of people and genes"
    shell:
        "python -m gta report cohort --cohort {params.cohort:q} --out {output.figure:q} &> {log:q}"


rule report_learning_curves:
    input:
        history=collect("<results>/<one_fold>aligner/{model}/seed{seed}/history.tsv", model=RUN.models, seed=RUN.seeds),
    output:
        figure=report(
            "<results>/evaluation/figures/learning_curves.svg",
            caption="../report/learning_curves.rst",
            category="4 Training",
            labels={"what": "Learning curves", "form": "figure"},
        ),
    log:
        "<logs>/report/learning_curves.log",
    benchmark:
        "<benchmarks>/report/learning_curves.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=30,
    message:
        "Drawing learning curves"
    shell:
        "python -m gta report learning-curves --history {input.history:q} --out {output.figure:q} &> {log:q}"


rule report_across_genes:
    input:
        cohort="<results>/cohort/genes.tsv",
        people="<results>/cohort/people.tsv",
        expression="<results>/cohort/expression.parquet",
        predictions=collect("<results>/predictions/{predictor}.parquet", predictor=RUN.predictors),
        summary="<results>/evaluation/summary.tsv",
    output:
        figure=report(
            "<results>/evaluation/figures/across_genes.svg",
            caption="../report/across_genes.rst",
            category="5 Evaluation",
            labels={"what": "Across genes", "form": "figure"},
        ),
    log:
        "<logs>/report/across_genes.log",
    benchmark:
        "<benchmarks>/report/across_genes.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=30,
    params:
        cohort=subpath(input.cohort, parent=True),
    message:
        "Drawing predicted and observed levels of unseen genes"
    shell:
        "python -m gta report across-genes --cohort {params.cohort:q} --predictions {input.predictions:q}"
        " --summary {input.summary:q} --out {output.figure:q} &> {log:q}"


rule report_per_gene:
    input:
        per_gene="<results>/evaluation/per_gene.tsv",
        summary="<results>/evaluation/summary.tsv",
    output:
        figure=report(
            "<results>/evaluation/figures/per_gene.svg",
            caption="../report/per_gene.rst",
            category="5 Evaluation",
            labels={"what": "Across people, gene by gene", "form": "figure"},
        ),
    log:
        "<logs>/report/per_gene.log",
    benchmark:
        "<benchmarks>/report/per_gene.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=30,
    message:
        "Drawing correlations across people, gene by gene"
    shell:
        "python -m gta report per-gene --per-gene {input.per_gene:q} --summary {input.summary:q} --out {output.figure:q} &> {log:q}"


rule report_cis_signal:
    input:
        per_gene="<results>/evaluation/per_gene.tsv",
        variants="<results>/baselines/top_eqtl.variants.tsv",
    output:
        figure=report(
            "<results>/evaluation/figures/cis_signal.svg",
            caption="../report/cis_signal.rst",
            category="5 Evaluation",
            labels={"what": "Known cis signal", "form": "figure"},
        ),
    log:
        "<logs>/report/cis_signal.log",
    benchmark:
        "<benchmarks>/report/cis_signal.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=30,
    params:
        models=["elastic_net", "top_eqtl", next(iter(RUN.models))],
    message:
        "Drawing how the known cis signal comes back in held-out people"
    shell:
        "python -m gta report cis-signal --per-gene {input.per_gene:q} --variants {input.variants:q} --models {params.models:q}"
        " --out {output.figure:q} &> {log:q}"


rule report_dependence:
    input:
        dependence="<results>/evaluation/dependence.tsv",
    output:
        figure=report(
            "<results>/evaluation/figures/dependence.svg",
            caption="../report/dependence.rst",
            category="5 Evaluation",
            labels={"what": "Dependence on the gene", "form": "figure"},
        ),
    log:
        "<logs>/report/dependence.log",
    benchmark:
        "<benchmarks>/report/dependence.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=30,
    message:
        "Drawing on which genes models do well"
    shell:
        "python -m gta report dependence --dependence {input.dependence:q} --out {output.figure:q} &> {log:q}"


rule report_overview:
    input:
        genes="<results>/cohort/genes.tsv",
        people="<results>/cohort/people.tsv",
        checksums="<results>/inputs/checksums.tsv",
        summary="<results>/evaluation/summary.tsv",
        comparisons="<results>/evaluation/comparisons.tsv",
        per_gene="<results>/evaluation/per_gene.tsv",
        training=collect(
            "<results>/<one_fold>aligner/{model}/seed{seed}/training.json", model=RUN.models, seed=RUN.seeds
        ),
        runtimes="<results>/evaluation/runtimes.tsv",
        attribution=collect(
            "<results>/attribution/{model}/{file}",
            model=RUN.sections["attribution"].models,
            file=["tiles.tsv", "enrichment.tsv", "signs.tsv", "completeness.tsv", "figures"],
        ),
        figures=collect(
            "<results>/evaluation/figures/{figure}.svg",
            figure=RUN.evaluation_figures,
        ),
    output:
        page=report(
            "<results>/report/overview.html",
            caption="../report/overview.rst",
            category="0 Overview",
            labels={"what": "Overview", "form": "page"},
        ),
    log:
        "<logs>/report/overview.log",
    benchmark:
        "<benchmarks>/report/overview.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=30,
    params:
        cohort=subpath(input.genes, parent=True),
        evaluation=subpath(input.summary, parent=True),
        attribution=lambda wildcards, input: list(dict.fromkeys(str(Path(path).parent) for path in input.attribution)),
        options="--simulated" if RUN.simulation is not None else "",
    message:
        "Writing the page that sums up the run"
    shell:
        "python -m gta report overview --cohort {params.cohort:q} --evaluation {params.evaluation:q}"
        " --checksums {input.checksums:q} --training {input.training:q} --runtimes {input.runtimes:q}"
        " --figures {input.figures:q} --attribution {params.attribution:q} {params.options} --out {output.page:q} &> {log:q}"


rule report_runtimes:
    input:
        summary="<results>/evaluation/summary.tsv",
        attribution=collect("<results>/attribution/{model}/tiles.tsv", model=RUN.sections["attribution"].models),
    output:
        figure=report(
            "<results>/evaluation/figures/runtimes.svg",
            caption="../report/runtimes.rst",
            category="7 Runtimes",
            labels={"what": "Time and memory", "form": "figure"},
        ),
        table="<results>/evaluation/runtimes.tsv",
    log:
        "<logs>/report/runtimes.log",
    benchmark:
        "<benchmarks>/report/runtimes.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=30,
    params:
        benchmarks=f"{RUN.results}/benchmarks",
    message:
        "Drawing time and memory of every step"
    shell:
        "python -m gta report runtimes --benchmarks {params.benchmarks:q} --out {output.figure:q}"
        " --table {output.table:q} &> {log:q}"


rule report_compression:
    input:
        summary="<results>/evaluation/summary.tsv",
        comparisons="<results>/evaluation/comparisons.tsv",
        training=collect(
            "<results>/<one_fold>aligner/{model}/seed{seed}/training.json", model=RUN.models, seed=RUN.seeds
        ),
        runtimes="<results>/evaluation/runtimes.tsv",
    output:
        figure=report(
            "<results>/evaluation/figures/compression.svg",
            caption="../report/compression.rst",
            category="5 Evaluation",
            labels={"what": "Compression", "form": "figure"},
        ),
        table="<results>/evaluation/compression.tsv",
    log:
        "<logs>/report/compression.log",
    benchmark:
        "<benchmarks>/report/compression.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=30,
    params:
        evaluation=subpath(input.summary, parent=True),
    message:
        "Drawing what compression saves and costs"
    shell:
        "python -m gta report compression --training {input.training:q} --runtimes {input.runtimes:q}"
        " --evaluation {params.evaluation:q} --out {output.figure:q} --table {output.table:q} &> {log:q}"


rule report_tables:
    input:
        tables=collect("<results>/{table}.tsv", table=TABLES),
    output:
        pages=report(
            directory("<results>/report/tables"),
            patterns=["{table}.html"],
            caption="../report/table.rst",
            category=lambda wildcards: TABLES.get(wildcards.table, STALE).category,
            labels=lambda wildcards: {"what": TABLES.get(wildcards.table, STALE).title, "form": "table"},
        ),
    log:
        "<logs>/report/tables.log",
    benchmark:
        "<benchmarks>/report/tables.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=30,
    params:
        results=subpath(output.pages, ancestor=2),
        tables=table_options(TABLES),
    message:
        "Making a page of every table"
    shell:
        "python -m gta report tables --results {params.results:q} {params.tables} --out {output.pages:q} &> {log:q}"


if TRANSFER:

    use rule report_tables as report_transfer with:
        input:
            tables=collect("<results>/{table}.tsv", table=TRANSFER),
        output:
            pages=report(
                directory("<results>/report/transfer"),
                patterns=["{table}.html"],
                caption="../report/table.rst",
                category=lambda wildcards: TRANSFER.get(wildcards.table, STALE).category,
                labels=lambda wildcards: {"what": TRANSFER.get(wildcards.table, STALE).title, "form": "table"},
            ),
        log:
            "<logs>/report/transfer.log",
        benchmark:
            "<benchmarks>/report/transfer.tsv"
        params:
            results=subpath(output.pages, ancestor=2),
            tables=table_options(TRANSFER),
        message:
            "Making a page of every table about the second cohort"
