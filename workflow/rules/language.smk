rule language_pretrain:
    input:
        annotation="<results>/inputs/annotation.tsv",
    output:
        model=directory("<results>/language/model"),
    log:
        "<logs>/language/pretrain.log",
    benchmark:
        "<benchmarks>/language/pretrain.tsv"
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=60,
    params:
        seed=RUN.seed,
        options=lambda wildcards: RUN.options(
            "language",
            "template",
            "max_prompt_tokens",
            "vocabulary",
            "hidden_size",
            "layers",
            "heads",
            "pretraining_steps",
            "pretraining_learning_rate",
        ),
    message:
        "Pretraining a small language model on the annotation text"
    shell:
        "python -m gta language pretrain --annotation {input.annotation:q} {params.options}"
        " --seed {params.seed:q} --threads {threads} --out {output.model:q} &> {log:q}"


rule language_randomise:
    input:
        model=RUN.language_model,
        model_files=RUN.language_model_files("pretrained"),
    output:
        model=directory("<results>/language/random/model"),
    log:
        "<logs>/language/randomise.log",
    benchmark:
        "<benchmarks>/language/randomise.tsv"
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=60,
    params:
        seed=RUN.seed,
    message:
        "Drawing random weights for the language model's architecture"
    shell:
        "python -m gta language randomise --model {input.model:q} --seed {params.seed:q} --out {output.model:q} &> {log:q}"


rule language_prompts:
    input:
        annotation="<results>/inputs/annotation.tsv",
        cohort="<results>/cohort/genes.tsv",
        model=lambda wildcards: RUN.model_folder(wildcards.lm),
        model_files=lambda wildcards: RUN.language_model_files(wildcards.lm),
    output:
        prompts="<results>/language/{lm}/{prompt}/prompts.tsv",
        cache="<results>/language/{lm}/{prompt}/prompt_cache.safetensors",
    log:
        "<logs>/language/prompts/{lm}.{prompt}.log",
    benchmark:
        "<benchmarks>/language/prompts/{lm}.{prompt}.tsv"
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=120,
    params:
        cohort=subpath(input.cohort, parent=True),
        folder=subpath(output.prompts, parent=True),
        options=lambda wildcards: RUN.options("language", "template", "max_prompt_tokens"),
    message:
        "Letting the {wildcards.lm} language model read the prompt ({wildcards.prompt}) of every gene"
    shell:
        "python -m gta language prompts --cohort {params.cohort:q} --annotation {input.annotation:q} --model {input.model:q}"
        " --mode {wildcards.prompt:q} {params.options} --threads {threads} --out {params.folder:q} &> {log:q}"


rule language_prototypes:
    input:
        model=lambda wildcards: RUN.model_folder(wildcards.lm),
        model_files=lambda wildcards: RUN.language_model_files(wildcards.lm),
    output:
        prototypes="<results>/language/{lm}/prototypes.safetensors",
    log:
        "<logs>/language/prototypes/{lm}.log",
    benchmark:
        "<benchmarks>/language/prototypes/{lm}.tsv"
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=120,
    params:
        seed=RUN.seed,
        options=lambda wildcards: RUN.options("language", "prototypes"),
    message:
        "Making text prototypes from the vocabulary of the {wildcards.lm} language model"
    shell:
        "python -m gta language prototypes --model {input.model:q} {params.options} --seed {params.seed:q}"
        " --threads {threads} --out {output.prototypes:q} &> {log:q}"
