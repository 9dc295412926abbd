rule evaluation_score:
    input:
        **RUN.gene_groups,
        **RUN.genotype_tables,
        **RUN.homologues,
        cohort="<results>/cohort/genes.tsv",
        people="<results>/cohort/people.tsv",
        expression="<results>/cohort/expression.parquet",
        predictions=collect("<results>/predictions/{predictor}.parquet", predictor=RUN.predictors),
    output:
        per_gene="<results>/evaluation/per_gene.tsv",
        per_person="<results>/evaluation/per_person.tsv",
        summary="<results>/evaluation/summary.tsv",
        comparisons="<results>/evaluation/comparisons.tsv",
        dependence="<results>/evaluation/dependence.tsv",
    log:
        "<logs>/evaluation/score.log",
    benchmark:
        "<benchmarks>/evaluation/score.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=120,
    params:
        cohort=subpath(input.cohort, parent=True),
        folder=subpath(output.summary, parent=True),
        seed=RUN.seed,
        options=lambda wildcards: RUN.options("evaluation"),
        files=lambda wildcards: as_options(RUN.genotype_tables | RUN.gene_groups | RUN.homologues),
    message:
        "Comparing every model's predictions with expression, on held-out genes and people"
    shell:
        "python -m gta evaluation score --cohort {params.cohort:q} --predictions {input.predictions:q}"
        " {params.files} --seed {params.seed:q} {params.options} --out {params.folder:q} &> {log:q}"


rule evaluation_ablations:
    input:
        comparisons="<results>/evaluation/comparisons.tsv",
    output:
        table="<results>/evaluation/ablations.tsv",
    log:
        "<logs>/evaluation/ablations.log",
    benchmark:
        "<benchmarks>/evaluation/ablations.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=30,
    params:
        model=next(iter(RUN.models)),
        options=shlex.join(word for change in RUN.ablations.items() for word in ("--ablation", *change)),
    message:
        "Tabulating what each part of {params.model} is worth"
    shell:
        "python -m gta evaluation ablations --comparisons {input.comparisons:q} --model {params.model:q} {params.options}"
        " --out {output.table:q} &> {log:q}"


rule evaluation_transfer:
    input:
        **RUN.new_expression,
        **RUN.populations,
        study_genes="<results>/cohort/genes.tsv",
        study_people="<results>/cohort/people.tsv",
        statistics="<results>/cohort/gene_statistics.tsv",
        genes="<results>/predict/cohort/genes.tsv",
        people="<results>/predict/cohort/people.tsv",
        predictions="<results>/predict/people.parquet",
        panels=collect("<results>/predict/haplotypes/{contig}.npz", contig=RUN.predict_contigs),
        elastic_net="<results>/baselines/elastic_net.weights.tsv",
        top_eqtl="<results>/baselines/top_eqtl.variants.tsv",
    output:
        summary="<results>/predict/transfer/summary.tsv",
        comparisons="<results>/predict/transfer/comparisons.tsv",
        per_gene="<results>/predict/transfer/per_gene.tsv",
        per_person="<results>/predict/transfer/per_person.tsv",
        variants="<results>/predict/transfer/variants.tsv",
        dropped="<results>/predict/transfer/dropped.tsv",
    log:
        "<logs>/evaluation/transfer.log",
    benchmark:
        "<benchmarks>/evaluation/transfer.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=120,
    params:
        study=subpath(input.study_genes, parent=True),
        cohort=subpath(input.genes, parent=True),
        folder=subpath(output.summary, parent=True),
        model=RUN.predict_model,
        seed=RUN.seed,
        options=f"{RUN.options('cohort', 'unit', 'min_expressed_fraction')} {RUN.options('evaluation')}",
        files=as_options(RUN.new_expression | RUN.populations),
    message:
        "Comparing the predictions of new people with their expression"
    shell:
        "python -m gta evaluation transfer --study {params.study:q} --cohort {params.cohort:q}"
        " --predictions {input.predictions:q} --haplotypes {input.panels:q}"
        " --elastic-net {input.elastic_net:q} --top-eqtl {input.top_eqtl:q} --model {params.model:q} {params.files}"
        " --seed {params.seed:q} {params.options} --out {params.folder:q} &> {log:q}"


rule evaluation_unmeasured:
    input:
        cohort="<results>/cohort/genes.tsv",
        predictions=collect("<results>/predictions/{predictor}.parquet", predictor=RUN.predictors_of_unmeasured),
    output:
        table="<results>/predictions/genes_without_expression.tsv",
    log:
        "<logs>/evaluation/unmeasured.log",
    benchmark:
        "<benchmarks>/evaluation/unmeasured.tsv"
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
        "Tabulating predictions of genes without expression"
    shell:
        "python -m gta evaluation unmeasured --cohort {params.cohort:q} --predictions {input.predictions:q}"
        " --out {output.table:q} &> {log:q}"
