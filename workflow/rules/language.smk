rule language_annotate:
    input:
        **RUN.text_sources,
        annotation="<results>/inputs/annotation.tsv",
        genes="<results>/inputs/genes.tsv",
    output:
        annotation="<results>/language/annotation.tsv",
    log:
        "<logs>/language/annotate.log",
    benchmark:
        "<benchmarks>/language/annotate.tsv"
    priority: 4
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=60,
    params:
        files=lambda wildcards: as_options(RUN.text_sources),
    message:
        "Adding what public files say of each gene"
    shell:
        "python -m gta language annotate --annotation {input.annotation:q} --genes {input.genes:q} {params.files}"
        " --out {output.annotation:q} &> {log:q}"


rule language_pretrain:
    input:
        **RUN.template_file,
        annotation=RUN.annotation,
    output:
        model=directory("<results>/language/model"),
    log:
        "<logs>/language/pretrain.log",
    benchmark:
        "<benchmarks>/language/pretrain.tsv"
    priority: 4
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=60,
    params:
        seed=RUN.seed,
        options=lambda wildcards: RUN.options(
            "language",
            "template",
            "task",
            "cell_type",
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


rule language_download:
    output:
        model=directory("<results>/language/downloaded"),
    log:
        "<logs>/language/download.log",
    benchmark:
        "<benchmarks>/language/download.tsv"
    priority: 4
    localrule: True
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=240,
    params:
        model=RUN.sections["language"].model,
        revision=RUN.sections["language"].revision,
    message:
        "Downloading the language model"
    shell:
        "python -m gta language download --model {params.model:q} --revision {params.revision:q} --out {output.model:q} &> {log:q}"


rule language_minilm:
    output:
        model=directory("<results>/language/minilm/model"),
    log:
        "<logs>/language/minilm.log",
    benchmark:
        "<benchmarks>/language/minilm.tsv"
    priority: 4
    localrule: True
    conda:
        "../../envs/minilm.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=30,
    message:
        "Copying the encoder all-MiniLM-L6-v2 out of its package"
    shell:
        "python -m gta language minilm --out {output.model:q} &> {log:q}"


rule language_smollm2:
    output:
        model=directory("<results>/language/smollm2/model"),
    log:
        "<logs>/language/smollm2.log",
    benchmark:
        "<benchmarks>/language/smollm2.tsv"
    priority: 4
    localrule: True
    conda:
        "../../envs/smollm2.yaml"
    threads: 1
    resources:
        mem_mb=doubling(3000),
        runtime=30,
    message:
        "Converting SmolLM2-135M-Instruct from its package"
    shell:
        "python -m gta language smollm2 --out {output.model:q} &> {log:q}"


rule language_convert:
    input:
        model=RUN.gguf_files,
    output:
        model=directory("<results>/language/converted"),
    log:
        "<logs>/language/convert.log",
    benchmark:
        "<benchmarks>/language/convert.tsv"
    priority: 4
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000 + RUN.language_model_mb),
        runtime=60,
    message:
        "Converting the language model from GGUF"
    shell:
        "python -m gta language convert --model {input.model:q} --out {output.model:q} &> {log:q}"


rule language_cut:
    input:
        model=RUN.whole_language_model,
        model_files=RUN.whole_language_model_files,
    output:
        model=directory("<results>/language/first_blocks"),
    log:
        "<logs>/language/cut.log",
    benchmark:
        "<benchmarks>/language/cut.tsv"
    priority: 4
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(3000 + RUN.language_model_mb),
        runtime=60,
    params:
        options=lambda wildcards: RUN.options("language", "blocks"),
    message:
        "Keeping the first blocks of the language model"
    shell:
        "python -m gta language cut --model {input.model:q} {params.options} --out {output.model:q} &> {log:q}"


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
    priority: 4
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000 + RUN.language_model_mb),
        runtime=60,
    params:
        seed=RUN.seed,
    message:
        "Drawing random weights for the language model's architecture"
    shell:
        "python -m gta language randomise --model {input.model:q} --seed {params.seed:q} --out {output.model:q} &> {log:q}"


rule language_prompts:
    input:
        **RUN.template_file,
        annotation=RUN.annotation,
        cohort="<results>/cohort/genes.tsv",
        examples=lambda wildcards: RUN.example_files(wildcards.prompt, wildcards.get("fold")),
        model=lambda wildcards: RUN.model_folder(wildcards.lm),
        model_files=lambda wildcards: RUN.language_model_files(wildcards.lm),
    output:
        prompts="<results>/language/{lm}/{prompt}/prompts.tsv",
        statistics="<results>/language/{lm}/{prompt}/statistics.tsv",
        cache="<results>/language/{lm}/{prompt}/prompt_cache.safetensors",
    log:
        "<logs>/language/prompts/{lm}.{prompt}.log",
    benchmark:
        "<benchmarks>/language/prompts/{lm}.{prompt}.tsv"
    priority: 4
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000 + RUN.language_model_mb),
        runtime=120,
    params:
        cohort=subpath(input.cohort, parent=True),
        folder=subpath(output.prompts, parent=True),
        # Of the configuration alone: what depends on the input is not recorded, and a change of it would repeat nothing.
        options=lambda wildcards: RUN.prompt_options(wildcards.prompt, wildcards.get("fold")),
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
    priority: 4
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000 + RUN.language_model_mb),
        runtime=120,
    params:
        seed=RUN.seed,
        options=lambda wildcards: RUN.options("language", "prototypes"),
    message:
        "Making text prototypes from the vocabulary of the {wildcards.lm} language model"
    shell:
        "python -m gta language prototypes --model {input.model:q} {params.options} --seed {params.seed:q}"
        " --threads {threads} --out {output.prototypes:q} &> {log:q}"
