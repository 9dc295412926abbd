rule aligner_train:
    input:
        inputs="<results>/inputs/inputs.json",
        checksums="<results>/inputs/checksums.tsv",
        cohort="<results>/<fold>cohort/genes.tsv",
        people="<results>/<fold>cohort/people.tsv",
        expression="<results>/<fold>cohort/expression.parquet",
        features=collect("<results>/<features_fold>features/{contig}.safetensors", contig=RUN.contigs),
        model=lambda wildcards: RUN.model_folder(RUN.reads_with(wildcards.model)),
        cache=lambda wildcards: RUN.prompt_cache(wildcards.model, fold=wildcards.get("fold")),
        prototypes=lambda wildcards: RUN.prototypes(wildcards.model),
        compressor=lambda wildcards: RUN.tuned_compressor(wildcards.model),
    output:
        settings="<results>/<fold>aligner/{model}/seed{seed}/model/config.json",
        weights="<results>/<fold>aligner/{model}/seed{seed}/model/model.safetensors",
        card="<results>/<fold>aligner/{model}/seed{seed}/model/README.md",
        history="<results>/<fold>aligner/{model}/seed{seed}/history.tsv",
        metrics="<results>/<fold>aligner/{model}/seed{seed}/metrics.jsonl",
        means="<results>/<fold>aligner/{model}/seed{seed}/mean_out_of_fold.tsv",
        last_settings="<results>/<fold>aligner/{model}/seed{seed}/last/config.json",
        last_weights="<results>/<fold>aligner/{model}/seed{seed}/last/model.safetensors",
        account="<results>/<fold>aligner/{model}/seed{seed}/training.json",
    log:
        "<logs>/aligner/<fold>train/{model}.seed{seed}.log",
    benchmark:
        "<benchmarks>/aligner/<fold>train/{model}.seed{seed}.tsv"
    priority: 3
    conda:
        "../../envs/language.yaml"
    threads: lambda wildcards: RUN.models[wildcards.model].processes
    resources:
        mem_mb=doubling(lambda wildcards: (6000 + RUN.language_model_mb) * RUN.models[wildcards.model].processes),
        runtime=480,
        gpu=lambda wildcards: RUN.gpus_of(wildcards.model),
    params:
        inputs=subpath(input.inputs, parent=True),
        cohort=subpath(input.cohort, parent=True),
        folder=subpath(output.account, parent=True),
        compressor=lambda wildcards, input: [
            word for path in input.compressor[:1] for word in ("--compressor-weights", str(Path(path).parent))
        ],
        options=lambda wildcards: RUN.model_options(wildcards.model),
    message:
        "Training {wildcards.model} with seed {wildcards.seed}"
    shell:
        "python -m gta aligner train --cohort {params.cohort:q} --features {input.features:q} --model {input.model:q}"
        " --cache {input.cache:q} --prototypes {input.prototypes:q} --inputs {params.inputs:q} --seed {wildcards.seed:q} --threads {threads}"
        " {params.compressor:q} {params.options} --out {params.folder:q} &> {log:q}"


rule aligner_predict:
    input:
        trained=collect("<results>/<fold>aligner/{{model}}/seed{seed}/training.json", seed=RUN.seeds),
        settings=collect("<results>/<fold>aligner/{{model}}/seed{seed}/model/config.json", seed=RUN.seeds),
        weights=collect("<results>/<fold>aligner/{{model}}/seed{seed}/model/model.safetensors", seed=RUN.seeds),
        cohort="<results>/<fold>cohort/genes.tsv",
        people="<results>/<fold>cohort/people.tsv",
        expression="<results>/<fold>cohort/expression.parquet",
        features=collect("<results>/<features_fold>features/{contig}.safetensors", contig=RUN.contigs),
        model=lambda wildcards: RUN.model_folder(RUN.reads_with(wildcards.model)),
        cache=lambda wildcards: RUN.prompt_cache(wildcards.model, fold=wildcards.get("fold")),
    output:
        predictions=collect("<results>/<fold>predictions/{{model}}.seed{seed}.parquet", seed=RUN.seeds),
    log:
        "<logs>/aligner/<fold>predict/{model}.log",
    benchmark:
        "<benchmarks>/aligner/<fold>predict/{model}.tsv"
    priority: 2
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(6000 + RUN.language_model_mb),
        runtime=240,
        gpu=lambda wildcards: min(1, RUN.gpus_of(wildcards.model)),
    params:
        trained=lambda wildcards, input: [str(Path(path).parent) for path in input.trained],
        cohort=subpath(input.cohort, parent=True),
        options=lambda wildcards: RUN.computing_options(wildcards.model),
    message:
        "Predicting every gene of every person with {wildcards.model}"
    shell:
        "python -m gta aligner predict --trained {params.trained:q} --cohort {params.cohort:q}"
        " --features {input.features:q} --model {input.model:q} --cache {input.cache:q}"
        " --threads {threads} {params.options} --out {output.predictions:q} &> {log:q}"
