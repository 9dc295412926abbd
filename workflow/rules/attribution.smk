rule attribution:
    input:
        **RUN.known_elements,
        **RUN.known_eqtls,
        inputs="<results>/inputs/inputs.json",
        contigs="<results>/inputs/contigs.tsv",
        trained=collect("<results>/<one_fold>aligner/{{model}}/seed{seed}/training.json", seed=RUN.seeds),
        weights=collect("<results>/<one_fold>aligner/{{model}}/seed{seed}/model/model.safetensors", seed=RUN.seeds),
        cohort="<results>/<one_fold>cohort/genes.tsv",
        people="<results>/<one_fold>cohort/people.tsv",
        expression="<results>/<one_fold>cohort/expression.parquet",
        features=collect("<results>/<one_features_fold>features/{contig}.safetensors", contig=RUN.contigs),
        panels=collect("<results>/haplotypes/{contig}.npz", contig=RUN.contigs),
        factors=RUN.factor_files,
        weights_of_features=RUN.weight_files(RUN.one_features_fold),
        model=lambda wildcards: RUN.model_folder(RUN.reads_with(wildcards.model)),
        cache=lambda wildcards: RUN.prompt_cache(wildcards.model, fold=RUN.one_fold),
    output:
        tiles="<results>/attribution/{model}/tiles.tsv",
        enrichment="<results>/attribution/{model}/enrichment.tsv",
        integrated="<results>/attribution/{model}/integrated.tsv",
        completeness="<results>/attribution/{model}/completeness.tsv",
        words="<results>/attribution/{model}/words.tsv",
        mutagenesis="<results>/attribution/{model}/mutagenesis.parquet",
        eqtls="<results>/attribution/{model}/eqtls.tsv",
        signs="<results>/attribution/{model}/signs.tsv",
        tracks=directory("<results>/attribution/{model}/tracks"),
        figures=report(
            directory("<results>/attribution/{model}/figures"),
            patterns=["{gene}.svg"],
            caption="../report/attribution.rst",
            category="6 Attribution",
            labels={"what": "{model}: {gene}", "form": "figure"},
        ),
        logos=report(
            directory("<results>/attribution/{model}/logos"),
            patterns=["{gene}.svg"],
            caption="../report/attribution_detail.rst",
            category="6 Attribution",
            labels={"what": "{model}: {gene}, bases", "form": "figure"},
        ),
        pages=report(
            directory("<results>/attribution/{model}/pages"),
            patterns=["{gene}.html"],
            caption="../report/attribution_detail.rst",
            category="6 Attribution",
            labels={"what": "{model}: {gene}, interactive", "form": "page"},
        ),
    log:
        "<logs>/attribution/{model}.log",
    benchmark:
        "<benchmarks>/attribution/{model}.tsv"
    priority: 4
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(6000 + RUN.language_model_mb),
        runtime=480,
    params:
        inputs=subpath(input.inputs, parent=True),
        trained=lambda wildcards, input: [str(Path(path).parent) for path in input.trained],
        cohort=subpath(input.cohort, parent=True),
        folder=subpath(output.tiles, parent=True),
        seed=RUN.seed,
        elements=lambda wildcards: as_options(RUN.known_elements | RUN.known_eqtls),
        options=lambda wildcards: f"{RUN.options('attribution')} {RUN.feature_options(RUN.one_features_fold)}",
    message:
        "Attributing the predictions of {wildcards.model} to the tiles of every window"
    shell:
        "python -m gta attribution --trained {params.trained:q} --cohort {params.cohort:q} --inputs {params.inputs:q}"
        " --features {input.features:q} --panels {input.panels:q} --model {input.model:q} --cache {input.cache:q}"
        " {params.elements} {params.options} --seed {params.seed:q} --threads {threads} --out {params.folder:q} &> {log:q}"
