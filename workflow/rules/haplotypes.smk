rule haplotypes:
    input:
        inputs="<results>/inputs/inputs.json",
        checksums="<results>/inputs/checksums.tsv",
        cohort="<results>/cohort/genes.tsv",
        people="<results>/cohort/people.tsv",
    output:
        panels="<results>/haplotypes/{contig}.npz",
        account="<results>/haplotypes/{contig}.account.tsv",
    log:
        "<logs>/haplotypes/{contig}.log",
    benchmark:
        "<benchmarks>/haplotypes/{contig}.tsv"
    priority: 4
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=240,
    params:
        inputs=subpath(input.inputs, parent=True),
        cohort=subpath(input.cohort, parent=True),
        options=lambda wildcards: f'{RUN.options("haplotypes")} {RUN.options("features", "tile_length")}',
    message:
        "Building the personal haplotypes of every window on {wildcards.contig}"
    shell:
        "python -m gta haplotypes build --inputs {params.inputs:q} --cohort {params.cohort:q}"
        " --contig {wildcards.contig:q} {params.options}"
        " --out {output.panels:q} --account {output.account:q} &> {log:q}"
