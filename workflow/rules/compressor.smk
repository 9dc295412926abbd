rule compressor_corpus:
    input:
        **RUN.template_file,
        annotation=RUN.annotation,
        corpus=RUN.corpus_files,
    output:
        texts="<results>/compressor/corpus.tsv",
    log:
        "<logs>/compressor/corpus.log",
    benchmark:
        "<benchmarks>/compressor/corpus.tsv"
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=60,
    params:
        seed=RUN.seed,
        options=lambda wildcards: RUN.options("language", "template", "task", "cell_type")
        + " "
        + RUN.options(
            "compressor",
            "corpus",
            "text_column",
            "date_column",
            "train_before",
            "test_after",
            "train_texts",
            "test_texts",
        ),
    message:
        "Dividing the texts to compress into training, validation and test"
    shell:
        "python -m gta compressor corpus --annotation {input.annotation:q} {params.options}"
        " --seed {params.seed:q} --out {output.texts:q} &> {log:q}"


rule compressor_train:
    input:
        texts="<results>/compressor/corpus.tsv",
        model=RUN.language_model,
        model_files=RUN.language_model_files("pretrained"),
        searched=lambda wildcards: RUN.compressor_search(
            wildcards.encoder, wildcards.length, wildcards.tokens, wildcards.rate
        ),
    output:
        settings="<results>/compressor/runs/{encoder}.n{length}.m{tokens}.lr{rate}.seed{seed}/model/config.json",
        weights="<results>/compressor/runs/{encoder}.n{length}.m{tokens}.lr{rate}.seed{seed}/model/model.safetensors",
        history="<results>/compressor/runs/{encoder}.n{length}.m{tokens}.lr{rate}.seed{seed}/history.tsv",
        texts="<results>/compressor/runs/{encoder}.n{length}.m{tokens}.lr{rate}.seed{seed}/texts.tsv",
        interpolation="<results>/compressor/runs/{encoder}.n{length}.m{tokens}.lr{rate}.seed{seed}/interpolation.tsv",
        account="<results>/compressor/runs/{encoder}.n{length}.m{tokens}.lr{rate}.seed{seed}/training.json",
    log:
        "<logs>/compressor/train/{encoder}.n{length}.m{tokens}.lr{rate}.seed{seed}.log",
    benchmark:
        "<benchmarks>/compressor/train/{encoder}.n{length}.m{tokens}.lr{rate}.seed{seed}.tsv"
    conda:
        "../../envs/language.yaml"
    threads: RUN.sections["compressor"].processes
    resources:
        mem_mb=doubling((6000 + RUN.language_model_mb) * RUN.sections["compressor"].processes),
        runtime=1440,
        gpu=RUN.gpus_of_compressor,
    params:
        folder=subpath(output.account, parent=True),
        rate=lambda wildcards, input: (
            ["--learning-rate-of", *(str(Path(path).parent) for path in input.searched)]
            if input.searched
            else ["--learning-rate", wildcards.rate]
        ),
        options=lambda wildcards: RUN.options(
            "compressor",
            *(
                "positions",
                "steps",
                "batch",
                "warm_up",
                "evaluate_every",
                "accumulation",
                "processes",
                "device",
                "precision",
            ),
        ),
    message:
        "Training {wildcards.encoder}: {wildcards.length} tokens to {wildcards.tokens}, seed {wildcards.seed}"
    shell:
        "python -m gta compressor train --model {input.model:q} --texts {input.texts:q} --encoder {wildcards.encoder:q}"
        " --length {wildcards.length:q} --memory-tokens {wildcards.tokens:q} {params.rate:q}"
        " --seed {wildcards.seed:q} --threads {threads} {params.options} --out {params.folder:q} &> {log:q}"


rule compressor_baselines:
    input:
        texts="<results>/compressor/corpus.tsv",
        model=RUN.language_model,
        model_files=RUN.language_model_files("pretrained"),
    output:
        account=collect(
            "<results>/compressor/baselines/{method}.n{{length}}.m{{tokens}}/training.json", method=UNTRAINED
        ),
        texts=collect("<results>/compressor/baselines/{method}.n{{length}}.m{{tokens}}/texts.tsv", method=UNTRAINED),
    log:
        "<logs>/compressor/baselines/n{length}.m{tokens}.log",
    benchmark:
        "<benchmarks>/compressor/baselines/n{length}.m{tokens}.tsv"
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000 + RUN.language_model_mb),
        runtime=480,
        gpu=min(1, RUN.gpus_of_compressor),
    params:
        folder=lambda wildcards, output: Path(output.account[0]).parents[1],
        options=RUN.options("compressor", "batch", "accumulation", "device", "precision"),
    message:
        "Regenerating texts of {wildcards.length} tokens from {wildcards.tokens} without training"
    shell:
        "python -m gta compressor baselines --model {input.model:q} --texts {input.texts:q} --length {wildcards.length:q}"
        " --memory-tokens {wildcards.tokens:q} --threads {threads} {params.options} --out {params.folder:q} &> {log:q}"


rule compressor_summary:
    input:
        account=collect("<results>/compressor/{run}/training.json", run=RUN.compressor_cells),
        texts=collect("<results>/compressor/{run}/texts.tsv", run=RUN.compressor_cells),
    output:
        summary="<results>/compressor/summary.tsv",
        figure=report(
            "<results>/compressor/figures/compressor.svg",
            caption="../report/compressor.rst",
            category="3 Language",
            labels={"what": "Regeneration by encoder", "form": "figure"},
        ),
    log:
        "<logs>/compressor/summary.log",
    benchmark:
        "<benchmarks>/compressor/summary.tsv"
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=30,
    params:
        runs=lambda wildcards, input: [str(Path(path).parent) for path in input.account],
        seed=RUN.seed,
    message:
        "Comparing encoders"
    shell:
        "python -m gta compressor summary --runs {params.runs:q} --seed {params.seed:q} --out {output.summary:q}"
        " --figure {output.figure:q} &> {log:q}"


rule compressor_parameters:
    output:
        table="<results>/compressor/parameters.tsv",
    log:
        "<logs>/compressor/parameters.log",
    benchmark:
        "<benchmarks>/compressor/parameters.tsv"
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=30,
    message:
        "Counting the weights of encoders"
    shell:
        "python -m gta compressor parameters --out {output.table:q} &> {log:q}"


rule compressor_prompts:
    input:
        **RUN.template_file,
        cohort="<results>/cohort/genes.tsv",
        annotation=RUN.annotation,
        model=RUN.language_model,
        model_files=RUN.language_model_files("pretrained"),
        compressor=lambda wildcards: RUN.compressor_weights(wildcards.method, wildcards.tokens),
    output:
        cache="<results>/compressor/prompts/{method}.m{tokens}/prompt_cache.safetensors",
        size="<results>/compressor/prompts/{method}.m{tokens}/size.tsv",
    log:
        "<logs>/compressor/prompts/{method}.m{tokens}.log",
    benchmark:
        "<benchmarks>/compressor/prompts/{method}.m{tokens}.tsv"
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000 + RUN.language_model_mb),
        runtime=120,
    params:
        cohort=subpath(input.cohort, parent=True),
        folder=subpath(output.cache, parent=True),
        compressor=lambda wildcards, input: sorted({str(Path(path).parent) for path in input.compressor}),
        options=lambda wildcards: RUN.options(
            "language", "template", "task", "cell_type", "max_prompt_tokens", "truncation"
        ),
    message:
        "Compressing the prompt of every gene to {wildcards.tokens} memory tokens with {wildcards.method}"
    shell:
        "python -m gta compressor prompts --cohort {params.cohort:q} --annotation {input.annotation:q} --model {input.model:q}"
        " --method {wildcards.method:q} --compressor {params.compressor:q} --memory-tokens {wildcards.tokens:q}"
        " {params.options} --threads {threads} --out {params.folder:q} &> {log:q}"
