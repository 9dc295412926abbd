rule inputs:
    input:
        **RUN.input_files,
    output:
        names="<results>/inputs/inputs.json",
        genes="<results>/inputs/genes.tsv",
        expression="<results>/inputs/expression.parquet",
        annotation="<results>/inputs/annotation.tsv",
        people="<results>/inputs/people.tsv",
        contigs="<results>/inputs/contigs.tsv",
        checksums="<results>/inputs/checksums.tsv",
    log:
        "<logs>/inputs.log",
    benchmark:
        "<benchmarks>/inputs.tsv"
    conda:
        "../../envs/core.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=120,
    params:
        folder=subpath(output.names, parent=True),
        files=lambda wildcards: as_options(RUN.input_files),
    message:
        "Checking the input files and bringing them into one form"
    shell:
        "python -m gta inputs {params.files} --out {params.folder:q} &> {log:q}"
