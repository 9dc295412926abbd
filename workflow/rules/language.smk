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


rule language_prepare:
    input:
        annotation="<results>/inputs/annotation.tsv",
        cohort="<results>/cohort/genes.tsv",
        model=RUN.language_model,
        model_files=RUN.language_model_files,
    output:
        prompts="<results>/language/prompts.tsv",
        cache="<results>/language/prompt_cache.safetensors",
        prototypes="<results>/language/prototypes.safetensors",
    log:
        "<logs>/language/prepare.log",
    benchmark:
        "<benchmarks>/language/prepare.tsv"
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=120,
    params:
        inputs=subpath(input.annotation, parent=True),
        cohort=subpath(input.cohort, parent=True),
        folder=subpath(output.prompts, parent=True),
        seed=RUN.seed,
        options=lambda wildcards: RUN.options("language", "template", "max_prompt_tokens", "prototypes"),
    message:
        "Letting the language model read the prompt of every gene, and making text prototypes from its vocabulary"
    shell:
        "python -m gta language prepare --cohort {params.cohort:q} --inputs {params.inputs:q} --model {input.model:q}"
        " {params.options} --seed {params.seed:q} --threads {threads} --out {params.folder:q} &> {log:q}"
