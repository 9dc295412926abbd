rule features:
    input:
        inputs="<results>/inputs/inputs.json",
        checksums="<results>/inputs/checksums.tsv",
        factors=RUN.factor_files,
        weights=lambda wildcards: RUN.weight_files(wildcards.get("fold")),
        cohort="<results>/cohort/genes.tsv",
        panels="<results>/haplotypes/{contig}.npz",
    output:
        store="<results>/<features_fold>features/{contig}.safetensors",
        summary="<results>/<features_fold>features/{contig}.summary.tsv",
        names="<results>/<features_fold>features/{contig}.features.tsv",
    log:
        "<logs>/features/<features_fold>{contig}.log",
    benchmark:
        "<benchmarks>/features/<features_fold>{contig}.tsv"
    priority: 4
    conda:
        "../../envs/networks.yaml"
        if RUN.sections["features"].extractor in ("enformer", "borzoi")
        else "../../envs/language.yaml"
    threads: 1 if RUN.sections["features"].extractor in ("motif", "kmers", "xpresso") else 4
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(960),
        gpu=RUN.gpus,
    params:
        inputs=subpath(input.inputs, parent=True),
        cohort=subpath(input.cohort, parent=True),
        options=lambda wildcards: RUN.feature_options(wildcards.get("fold")),
    message:
        "Computing the features of every distinct sequence on {wildcards.contig}"
    shell:
        "python -m gta features --inputs {params.inputs:q} --cohort {params.cohort:q} --haplotypes {input.panels:q}"
        " --contig {wildcards.contig:q} {params.options} --threads {threads}"
        " --out {output.store:q} --summary {output.summary:q} --names {output.names:q} &> {log:q}"
