rule baselines_elastic_net:
    input:
        cohort="<results>/cohort/genes.tsv",
        people="<results>/cohort/people.tsv",
        expression="<results>/cohort/expression.parquet",
        panels=collect("<results>/haplotypes/{contig}.npz", contig=RUN.contigs),
    output:
        predictions="<results>/<genotype_predictions>/elastic_net.parquet",
        weights="<results>/baselines/elastic_net.weights.tsv",
        genes="<results>/baselines/elastic_net.genes.tsv",
    log:
        "<logs>/baselines/elastic_net.log",
    benchmark:
        "<benchmarks>/baselines/elastic_net.tsv"
    priority: 2
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=240,
    params:
        cohort=subpath(input.cohort, parent=True),
        seed=RUN.seed,
        options=lambda wildcards: RUN.options("elastic_net"),
    message:
        "Fitting an elastic net on the cis genotypes of every gene"
    shell:
        "python -m gta baselines elastic-net --cohort {params.cohort:q} --haplotypes {input.panels:q}"
        " --threads {threads} --seed {params.seed:q} {params.options}"
        " --out {output.predictions:q} --weights {output.weights:q} --genes {output.genes:q} &> {log:q}"


rule baselines_top_eqtl:
    input:
        cohort="<results>/cohort/genes.tsv",
        people="<results>/cohort/people.tsv",
        expression="<results>/cohort/expression.parquet",
        panels=collect("<results>/haplotypes/{contig}.npz", contig=RUN.contigs),
    output:
        predictions="<results>/<genotype_predictions>/top_eqtl.parquet",
        variants="<results>/baselines/top_eqtl.variants.tsv",
    log:
        "<logs>/baselines/top_eqtl.log",
    benchmark:
        "<benchmarks>/baselines/top_eqtl.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=60,
    params:
        cohort=subpath(input.cohort, parent=True),
        options=lambda wildcards: RUN.options("top_eqtl"),
    message:
        "Finding the strongest variant of every gene"
    shell:
        "python -m gta baselines top-eqtl --cohort {params.cohort:q} --haplotypes {input.panels:q} {params.options}"
        " --out {output.predictions:q} --variants {output.variants:q} &> {log:q}"


rule baselines_mean:
    input:
        cohort="<results>/<fold>cohort/genes.tsv",
        people="<results>/<fold>cohort/people.tsv",
        expression="<results>/<fold>cohort/expression.parquet",
    output:
        predictions="<results>/<fold>predictions/mean.parquet",
    log:
        "<logs>/baselines/<fold>mean.log",
    benchmark:
        "<benchmarks>/baselines/<fold>mean.tsv"
    localrule: True
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=30,
    params:
        cohort=subpath(input.cohort, parent=True),
    message:
        "Predicting the mean of the training people"
    shell:
        "python -m gta baselines mean --cohort {params.cohort:q} --out {output.predictions:q} &> {log:q}"


rule baselines_ridge:
    input:
        cohort="<results>/<fold>cohort/genes.tsv",
        people="<results>/<fold>cohort/people.tsv",
        expression="<results>/<fold>cohort/expression.parquet",
        features=collect("<results>/<features_fold>features/{contig}.safetensors", contig=RUN.contigs),
    output:
        predictions="<results>/<fold>predictions/ridge.parquet",
    log:
        "<logs>/baselines/<fold>ridge.log",
    benchmark:
        "<benchmarks>/baselines/<fold>ridge.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=60,
    params:
        cohort=subpath(input.cohort, parent=True),
        options=lambda wildcards: RUN.options("ridge"),
    message:
        "Fitting ridge regression on the same features"
    shell:
        "python -m gta baselines ridge --cohort {params.cohort:q} --features {input.features:q} {params.options}"
        " --out {output.predictions:q} &> {log:q}"


rule baselines_track:
    input:
        cohort="<results>/<fold>cohort/genes.tsv",
        people="<results>/<fold>cohort/people.tsv",
        expression="<results>/<fold>cohort/expression.parquet",
        features=collect("<results>/<features_fold>features/{contig}.safetensors", contig=RUN.contigs),
    output:
        predictions="<results>/<fold>predictions/track.parquet",
    log:
        "<logs>/baselines/<fold>track.log",
    benchmark:
        "<benchmarks>/baselines/<fold>track.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=60,
    params:
        cohort=subpath(input.cohort, parent=True),
    message:
        "Taking the feature extractor's own prediction"
    shell:
        "python -m gta baselines track --cohort {params.cohort:q} --features {input.features:q}"
        " --out {output.predictions:q} &> {log:q}"


rule baselines_text:
    input:
        cohort="<results>/<fold>cohort/genes.tsv",
        people="<results>/<fold>cohort/people.tsv",
        expression="<results>/<fold>cohort/expression.parquet",
        prompts=f"{RUN.full_prompts}/prompts.tsv",
        cache=f"{RUN.full_prompts}/prompt_cache.safetensors",
        annotation=RUN.annotation,
    output:
        tfidf_ridge="<results>/<fold>predictions/tfidf_ridge.parquet",
        prompt_ridge="<results>/<fold>predictions/prompt_ridge.parquet",
        text_length="<results>/<fold>predictions/text_length.parquet",
        choice="<results>/<fold>baselines/prompt_ridge.choice.tsv",
        out_of_fold="<results>/<fold>baselines/prompt_ridge.out_of_fold.tsv",
    log:
        "<logs>/baselines/<fold>text.log",
    benchmark:
        "<benchmarks>/baselines/<fold>text.tsv"
    priority: 2
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(8000),
        runtime=120,
    params:
        cohort=subpath(input.cohort, parent=True),
        folder=subpath(output.prompt_ridge, parent=True),
    message:
        "Predicting mean expression from the text of every gene"
    shell:
        "python -m gta baselines text --cohort {params.cohort:q} --prompts {input.prompts:q} --cache {input.cache:q}"
        " --annotation {input.annotation:q} --out {params.folder:q} --choice {output.choice:q}"
        " --out-of-fold {output.out_of_fold:q} &> {log:q}"


rule baselines_stack:
    input:
        cohort="<results>/<fold>cohort/genes.tsv",
        people="<results>/<fold>cohort/people.tsv",
        expression="<results>/<fold>cohort/expression.parquet",
        features=collect("<results>/<features_fold>features/{contig}.safetensors", contig=RUN.contigs),
        prompt_ridge="<results>/<fold>predictions/prompt_ridge.parquet",
        out_of_fold="<results>/<fold>baselines/prompt_ridge.out_of_fold.tsv",
        models=collect("<results>/<fold>predictions/{model}.seed{seed}.parquet", model=RUN.fused_models, seed=RUN.seeds),
        models_out_of_fold=collect(
            "<results>/<fold>aligner/{model}/seed{seed}/mean_out_of_fold.tsv", model=RUN.fused_models, seed=RUN.seeds
        ),
    output:
        predictions="<results>/<fold>predictions/features_and_prompt.parquet",
        late_fusions=collect(
            "<results>/<fold>predictions/{model}_and_prompt.seed{seed}.parquet", model=RUN.fused_models, seed=RUN.seeds
        ),
        weights="<results>/<fold>baselines/stack.weights.tsv",
    log:
        "<logs>/baselines/<fold>stack.log",
    benchmark:
        "<benchmarks>/baselines/<fold>stack.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(8000),
        runtime=120,
    params:
        cohort=subpath(input.cohort, parent=True),
        folder=subpath(output.predictions, parent=True),
        options=lambda wildcards: RUN.options("ridge"),
    message:
        "Stacking predictions of mean expression from text and from sequence"
    shell:
        "python -m gta baselines stack --cohort {params.cohort:q} --features {input.features:q}"
        " --prompt-ridge {input.prompt_ridge:q} --out-of-fold {input.out_of_fold:q} --models {input.models:q}"
        " --models-out-of-fold {input.models_out_of_fold:q} {params.options} --out {params.folder:q}"
        " --weights {output.weights:q} &> {log:q}"
