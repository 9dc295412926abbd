# Waits for the last step of every stage: what is written later would not be among the checksums.
rule provenance:
    input:
        checksums="<results>/inputs/checksums.tsv",
        downloads=rules.download_checksums.output if RUN.study else [],
        features=collect("<results>/<one_features_fold>features/{contig}.summary.tsv", contig=RUN.contigs),
        compressor=rules.compressor_summary.output if RUN.compressor_runs else [],
        compressor_parameters=rules.compressor_parameters.output if RUN.compressor_runs else [],
        evaluation=rules.evaluation_score.output,
        unmeasured=rules.evaluation_unmeasured.output if RUN.predicts_unmeasured else [],
        ablations=rules.evaluation_ablations.output if RUN.ablations else [],
        attribution=collect(rules.attribution.output.enrichment, model=RUN.sections["attribution"].models),
    output:
        run="<results>/provenance/run.tsv",
        files="<results>/provenance/files.tsv",
    log:
        "<logs>/provenance.log",
    benchmark:
        "<benchmarks>/provenance.tsv"
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=240,
    params:
        results=subpath(output.run, ancestor=2),
        folder=subpath(output.run, parent=True),
        config=lambda wildcards: RUN.as_json,
        downloads=lambda wildcards, input: ["--downloads", *input.downloads] if RUN.study else [],
    message:
        "Writing down what the run was made of"
    shell:
        "python -m gta provenance --results {params.results:q} --config {params.config:q} {params.downloads:q}"
        " --out {params.folder:q} &> {log:q}"
