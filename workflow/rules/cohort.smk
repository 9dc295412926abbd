rule cohort:
    input:
        inputs="<results>/inputs/inputs.json",
        checksums="<results>/inputs/checksums.tsv",
        genes="<results>/inputs/genes.tsv",
        people="<results>/inputs/people.tsv",
        expression="<results>/inputs/expression.parquet",
        contigs="<results>/inputs/contigs.tsv",
    output:
        people="<results>/cohort/people.tsv",
        genes="<results>/cohort/genes.tsv",
        expression="<results>/cohort/expression.parquet",
        statistics="<results>/cohort/gene_statistics.tsv",
        dropped="<results>/cohort/dropped.tsv",
        summary="<results>/cohort/summary.tsv",
    log:
        "<logs>/cohort.log",
    benchmark:
        "<benchmarks>/cohort.tsv"
    priority: 4
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=60,
    params:
        inputs=subpath(input.inputs, parent=True),
        folder=subpath(output.genes, parent=True),
        seed=RUN.seed,
        options=lambda wildcards: RUN.cohort_options,
    message:
        "Choosing people and genes, splitting them, and cleaning expression"
    shell:
        "python -m gta cohort --inputs {params.inputs:q} --seed {params.seed:q} {params.options} --out {params.folder:q} &> {log:q}"
