rule predict_prepare:
    input:
        **RUN.predict_files,
        inputs="<results>/inputs/inputs.json",
        genes="<results>/inputs/genes.tsv",
        checksums="<results>/inputs/checksums.tsv",
        cohort="<results>/cohort/genes.tsv",
        trained=collect(
            "<results>/{fold}aligner/{model}/seed{seed}/model/config.json",
            fold=RUN.fold_folders,
            model=RUN.predict_model,
            seed=RUN.seeds,
        ),
    output:
        inputs="<results>/predict/inputs/inputs.json",
        contigs="<results>/predict/inputs/contigs.tsv",
        checksums="<results>/predict/inputs/checksums.tsv",
        genes="<results>/predict/cohort/genes.tsv",
        people="<results>/predict/cohort/people.tsv",
    log:
        "<logs>/predict/prepare.log",
    benchmark:
        "<benchmarks>/predict/prepare.tsv"
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=120,
    params:
        inputs=subpath(input.inputs, parent=True),
        cohort=subpath(input.cohort, parent=True),
        trained=lambda wildcards, input: [str(Path(path).parent.parent) for path in input.trained],
        folder=subpath(output.genes, ancestor=2),
        options=RUN.options("predict", "genotypes", "reference", "genes", "contigs"),
    message:
        "Checking the genotypes of new people"
    shell:
        "python -m gta predict prepare --inputs {params.inputs:q} --cohort {params.cohort:q} --trained {params.trained:q}"
        " {params.options} --out {params.folder:q} &> {log:q}"


# The stages of the workflow, for the new people.
use rule haplotypes as predict_haplotypes with:
    input:
        inputs="<results>/predict/inputs/inputs.json",
        checksums="<results>/predict/inputs/checksums.tsv",
        cohort="<results>/predict/cohort/genes.tsv",
        people="<results>/predict/cohort/people.tsv",
    output:
        panels="<results>/predict/haplotypes/{contig}.npz",
        account="<results>/predict/haplotypes/{contig}.account.tsv",
    log:
        "<logs>/predict/haplotypes/{contig}.log",
    benchmark:
        "<benchmarks>/predict/haplotypes/{contig}.tsv"


use rule features as predict_features with:
    input:
        inputs="<results>/predict/inputs/inputs.json",
        checksums="<results>/predict/inputs/checksums.tsv",
        factors=RUN.factor_files,
        weights=RUN.weight_files(),
        cohort="<results>/predict/cohort/genes.tsv",
        panels="<results>/predict/haplotypes/{contig}.npz",
    output:
        store="<results>/predict/features/{contig}.safetensors",
        summary="<results>/predict/features/{contig}.summary.tsv",
        names="<results>/predict/features/{contig}.features.tsv",
    log:
        "<logs>/predict/features/{contig}.log",
    benchmark:
        "<benchmarks>/predict/features/{contig}.tsv"


use rule language_prompts as predict_prompts with:
    input:
        **RUN.template_file,
        annotation=RUN.annotation,
        cohort="<results>/predict/cohort/genes.tsv",
        examples=lambda wildcards: RUN.example_files(wildcards.prompt, RUN.one_fold),
        model=lambda wildcards: RUN.model_folder(wildcards.lm),
        model_files=lambda wildcards: RUN.language_model_files(wildcards.lm),
    output:
        prompts="<results>/predict/language/{lm}/{prompt}/prompts.tsv",
        statistics="<results>/predict/language/{lm}/{prompt}/statistics.tsv",
        cache="<results>/predict/language/{lm}/{prompt}/prompt_cache.safetensors",
    log:
        "<logs>/predict/prompts/{lm}.{prompt}.log",
    benchmark:
        "<benchmarks>/predict/prompts/{lm}.{prompt}.tsv"


use rule compressor_prompts as predict_compressed_prompts with:
    input:
        **RUN.template_file,
        cohort="<results>/predict/cohort/genes.tsv",
        annotation=RUN.annotation,
        model=RUN.language_model,
        model_files=RUN.language_model_files("pretrained"),
        compressor=lambda wildcards: RUN.compressor_weights(wildcards.method, wildcards.tokens),
    output:
        cache="<results>/predict/compressor/prompts/{method}.m{tokens}/prompt_cache.safetensors",
        size="<results>/predict/compressor/prompts/{method}.m{tokens}/size.tsv",
    log:
        "<logs>/predict/compressor/{method}.m{tokens}.log",
    benchmark:
        "<benchmarks>/predict/compressor/{method}.m{tokens}.tsv"


rule predict:
    input:
        settings=collect(
            "<results>/{fold}aligner/{model}/seed{seed}/model/config.json",
            fold=RUN.fold_folders,
            model=RUN.predict_model,
            seed=RUN.seeds,
        ),
        weights=collect(
            "<results>/{fold}aligner/{model}/seed{seed}/model/model.safetensors",
            fold=RUN.fold_folders,
            model=RUN.predict_model,
            seed=RUN.seeds,
        ),
        cohort="<results>/predict/cohort/genes.tsv",
        people="<results>/predict/cohort/people.tsv",
        features=collect("<results>/predict/features/{contig}.safetensors", contig=RUN.predict_contigs),
        model=RUN.model_folder(RUN.reads_with(RUN.predict_model)),
        cache=RUN.prompt_cache(RUN.predict_model, new=True, fold=RUN.one_fold),
    output:
        haplotypes="<results>/predict/haplotypes.parquet",
        people="<results>/predict/people.parquet",
    log:
        "<logs>/predict/people.log",
    benchmark:
        "<benchmarks>/predict/people.tsv"
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(6000 + RUN.language_model_mb),
        runtime=240,
        gpu=min(1, RUN.gpus_of(RUN.predict_model)),
    params:
        trained=lambda wildcards, input: [str(Path(path).parent.parent) for path in input.settings],
        cohort=subpath(input.cohort, parent=True),
        folder=subpath(output.people, parent=True),
        options=RUN.computing_options(RUN.predict_model),
    message:
        "Predicting new people"
    shell:
        "python -m gta predict people --trained {params.trained:q} --cohort {params.cohort:q} --features {input.features:q}"
        " --model {input.model:q} --cache {input.cache:q} --threads {threads} {params.options} --out {params.folder:q} &> {log:q}"
