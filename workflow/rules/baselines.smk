rule baselines_elastic_net:
    input:
        cohort="<results>/cohort/genes.tsv",
        people="<results>/cohort/people.tsv",
        expression="<results>/cohort/expression.parquet",
        panels=collect("<results>/haplotypes/{contig}.npz", contig=RUN.contigs),
    output:
        predictions="<results>/predictions/elastic_net.parquet",
        weights="<results>/baselines/elastic_net.weights.tsv",
    log:
        "<logs>/baselines/elastic_net.log",
    benchmark:
        "<benchmarks>/baselines/elastic_net.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 2
    resources:
        mem_mb=memory(4000),
        runtime=240,
    params:
        cohort=subpath(input.cohort, parent=True),
        seed=RUN.seed,
        options=lambda wildcards: RUN.options("elastic_net"),
    message:
        "Fitting an elastic net on the cis genotypes of every training gene"
    shell:
        "python -m gta baselines elastic-net --cohort {params.cohort:q} --haplotypes {input.panels:q}"
        " --threads {threads} --seed {params.seed:q} {params.options}"
        " --out {output.predictions:q} --weights {output.weights:q} &> {log:q}"


rule baselines_ridge:
    input:
        cohort="<results>/cohort/genes.tsv",
        people="<results>/cohort/people.tsv",
        expression="<results>/cohort/expression.parquet",
        features=collect("<results>/features/{contig}.safetensors", contig=RUN.contigs),
    output:
        predictions="<results>/predictions/ridge.parquet",
    log:
        "<logs>/baselines/ridge.log",
    benchmark:
        "<benchmarks>/baselines/ridge.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
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
        cohort="<results>/cohort/genes.tsv",
        people="<results>/cohort/people.tsv",
        expression="<results>/cohort/expression.parquet",
        features=collect("<results>/features/{contig}.safetensors", contig=RUN.contigs),
    output:
        predictions="<results>/predictions/track.parquet",
    log:
        "<logs>/baselines/track.log",
    benchmark:
        "<benchmarks>/baselines/track.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=60,
    params:
        cohort=subpath(input.cohort, parent=True),
    message:
        "Taking the feature extractor's own prediction"
    shell:
        "python -m gta baselines track --cohort {params.cohort:q} --features {input.features:q}"
        " --out {output.predictions:q} &> {log:q}"
