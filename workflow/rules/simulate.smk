rule simulate:
    output:
        reference="<results>/simulated/reference.fa",
        reference_index="<results>/simulated/reference.fa.fai",
        genotypes="<results>/simulated/genotypes.vcf.gz",
        genotypes_index="<results>/simulated/genotypes.vcf.gz.tbi",
        genes="<results>/simulated/genes.gtf",
        expression="<results>/simulated/expression.bed.gz",
        annotation="<results>/simulated/annotation.tsv",
        people="<results>/simulated/people.tsv",
        elements="<results>/simulated/truth_elements.tsv",
        variants="<results>/simulated/truth_variants.tsv",
        truth="<results>/simulated/truth_genes.tsv",
        modulation="<results>/simulated/truth_modulation.tsv",
    log:
        "<logs>/simulate.log",
    benchmark:
        "<benchmarks>/simulate.tsv"
    conda:
        "../../envs/simulate.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=30,
    params:
        folder=subpath(output.reference, parent=True),
        options=lambda wildcards: as_options(asdict(RUN.simulation)),
    message:
        "Simulating genomes, annotation and expression with known causes"
    shell:
        "python -m gta simulate --out {params.folder:q} {params.options} &> {log:q}"
