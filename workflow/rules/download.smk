rule download_fetch:
    output:
        file="<data>/downloads/{name}",
    log:
        "<logs>/download/fetch/{name}.log",
    benchmark:
        "<benchmarks>/download/fetch/{name}.tsv"
    wildcard_constraints:
        name="|".join(map(re.escape, RUN.study.fetched)),
    localrule: True  # nodes of a cluster seldom reach the network
    conda:
        "../../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=1440,
    params:
        # No input, for then a change of one entry would fetch all files again.
        manifest=str(REPOSITORY / "resources" / "manifest.yaml"),
        study=RUN.study.name,
        url=lambda wildcards: RUN.study.named(wildcards.name).url,
    message:
        "Fetching {wildcards.name}"
    shell:
        "python -m gta download fetch --manifest {params.manifest:q} --study {params.study:q} --name {wildcards.name:q}"
        " --out {output.file:q} &> {log:q}"


# Not by the rule that fetches: files that are there already stay as they are.
rule download_checksums:
    input:
        files=collect("<data>/downloads/{name}", name=RUN.study.fetched),
    output:
        table="<data>/downloads/checksums.tsv",
    log:
        "<logs>/download/checksums.log",
    benchmark:
        "<benchmarks>/download/checksums.tsv"
    localrule: True
    conda:
        "../../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=240,
    message:
        "Taking the checksums of what was fetched"
    shell:
        "python -m gta download checksums --files {input.files:q} --out {output.table:q} &> {log:q}"


rule download_people:
    input:
        panel=RUN.downloaded("people"),
        expression=RUN.downloaded("expression"),
    output:
        people="<data>/prepared/people.tsv",
    log:
        "<logs>/download/people.log",
    benchmark:
        "<benchmarks>/download/people.tsv"
    localrule: True
    conda:
        "../../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=10,
    message:
        "Listing the people of the study"
    shell:
        "python -m gta download people --panel {input.panel:q} --expression {input.expression:q} --out {output.people:q} &> {log:q}"


rule download_genotypes:
    input:
        vcf=lambda wildcards: RUN.downloaded("genotypes", wildcards.published),
        people="<data>/prepared/people.tsv",
    output:
        bcf=temp("<data>/prepared/genotypes.{published}.bcf"),
    log:
        "<logs>/download/genotypes/{published}.log",
    benchmark:
        "<benchmarks>/download/genotypes/{published}.tsv"
    wildcard_constraints:
        published="|".join(map(re.escape, RUN.study.contigs)),
    conda:
        "../../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=480,
    message:
        "Bringing the genotypes of {wildcards.published} into BCF"
    shell:
        "python -m gta download genotypes --vcf {input.vcf:q} --people {input.people:q} --out {output.bcf:q} &> {log:q}"


rule download_join:
    input:
        parts=collect("<data>/prepared/genotypes.{published}.bcf", published=RUN.study.contigs),
    output:
        bcf="<data>/prepared/genotypes.bcf",
        index="<data>/prepared/genotypes.bcf.csi",
    log:
        "<logs>/download/join.log",
    benchmark:
        "<benchmarks>/download/join.tsv"
    conda:
        "../../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=480,
    message:
        "Joining the genotypes of all contigs"
    shell:
        "python -m gta download join --parts {input.parts:q} --out {output.bcf:q} --index {output.index:q} &> {log:q}"


rule download_expression:
    input:
        matrix=RUN.downloaded("expression"),
        genes=RUN.downloaded("genes"),
        people="<data>/prepared/people.tsv",
    output:
        bed="<data>/prepared/expression.bed.gz",
    log:
        "<logs>/download/expression.log",
    benchmark:
        "<benchmarks>/download/expression.tsv"
    conda:
        "../../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=60,
    params:
        form=RUN.study.expression_form,
    message:
        "Bringing the expression matrix into BED"
    shell:
        "python -m gta download expression --matrix {input.matrix:q} --form {params.form:q} --genes {input.genes:q}"
        " --people {input.people:q} --out {output.bed:q} &> {log:q}"


rule download_annotation:
    input:
        gene_info=RUN.downloaded("gene_info"),
        gene2go=RUN.downloaded("gene2go"),
    output:
        annotation="<data>/prepared/annotation.tsv",
    log:
        "<logs>/download/annotation.log",
    benchmark:
        "<benchmarks>/download/annotation.tsv"
    conda:
        "../../envs/download.yaml"
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=60,
    message:
        "Writing down what is known of every gene"
    shell:
        "python -m gta download annotation --gene-info {input.gene_info:q} --gene2go {input.gene2go:q}"
        " --out {output.annotation:q} &> {log:q}"
