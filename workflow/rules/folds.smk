# Included only where the study has folds: each fold has a cohort, trainings, baselines and predictions of its own under folds/.
rule folds_cohort:
    input:
        inputs="<results>/inputs/inputs.json",
        checksums="<results>/inputs/checksums.tsv",
        genes="<results>/inputs/genes.tsv",
        people="<results>/inputs/people.tsv",
        expression="<results>/inputs/expression.parquet",
        contigs="<results>/inputs/contigs.tsv",
    output:
        people="<results>/folds/{fold}/cohort/people.tsv",
        genes="<results>/folds/{fold}/cohort/genes.tsv",
        expression="<results>/folds/{fold}/cohort/expression.parquet",
        statistics="<results>/folds/{fold}/cohort/gene_statistics.tsv",
        dropped="<results>/folds/{fold}/cohort/dropped.tsv",
        summary="<results>/folds/{fold}/cohort/summary.tsv",
    log:
        "<logs>/folds/{fold}/cohort.log",
    benchmark:
        "<benchmarks>/folds/{fold}/cohort.tsv"
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
        "Splitting the genes for fold {wildcards.fold}"
    shell:
        "python -m gta folds cohort --inputs {params.inputs:q} --fold {wildcards.fold:q} --seed {params.seed:q} {params.options}"
        " --out {params.folder:q} &> {log:q}"


# Prompts with in-context examples, which are training genes of the fold.
use rule language_prompts as folds_prompts with:
    output:
        prompts="<results>/folds/{fold}/language/{lm}/{prompt}/prompts.tsv",
        statistics="<results>/folds/{fold}/language/{lm}/{prompt}/statistics.tsv",
        cache="<results>/folds/{fold}/language/{lm}/{prompt}/prompt_cache.safetensors",
    log:
        "<logs>/folds/{fold}/prompts/{lm}.{prompt}.log",
    benchmark:
        "<benchmarks>/folds/{fold}/prompts/{lm}.{prompt}.tsv"


rule folds_homologues:
    input:
        inputs="<results>/inputs/inputs.json",
        cohort="<results>/cohort/genes.tsv",
        annotation=RUN.annotation,
    output:
        table="<results>/cohort/homologues.tsv",
    log:
        "<logs>/folds/homologues.log",
    benchmark:
        "<benchmarks>/folds/homologues.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=60,
    params:
        inputs=subpath(input.inputs, parent=True),
        cohort=subpath(input.cohort, parent=True),
    message:
        "Grouping homologous genes"
    shell:
        "python -m gta folds homologues --inputs {params.inputs:q} --cohort {params.cohort:q} --annotation {input.annotation:q}"
        " --out {output.table:q} &> {log:q}"


rule folds_gather:
    input:
        study="<results>/cohort/genes.tsv",
        cohorts=collect("<results>/{fold}cohort/genes.tsv", fold=RUN.fold_folders),
        predictions=collect("<results>/{fold}predictions/{{predictor}}.parquet", fold=RUN.fold_folders),
    output:
        predictions="<results>/predictions/{predictor}.parquet",
    log:
        "<logs>/folds/gather/{predictor}.log",
    benchmark:
        "<benchmarks>/folds/gather/{predictor}.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=30,
    params:
        study=subpath(input.study, parent=True),
        cohorts=lambda wildcards, input: [str(Path(path).parent) for path in input.cohorts],
    message:
        "Taking the predictions of {wildcards.predictor} for each gene from the fold that held it out"
    shell:
        "python -m gta folds gather --study {params.study:q} --cohorts {params.cohorts:q} --predictions {input.predictions:q}"
        " --out {output.predictions:q} &> {log:q}"
