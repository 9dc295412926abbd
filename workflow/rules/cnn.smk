rule cnn:
    input:
        inputs="<results>/inputs/inputs.json",
        checksums="<results>/inputs/checksums.tsv",
        cohort="<results>/<features_fold>cohort/genes.tsv",
        people="<results>/<features_fold>cohort/people.tsv",
        expression="<results>/<features_fold>cohort/expression.parquet",
    output:
        config="<results>/<features_fold>cnn/model/config.json",
        weights="<results>/<features_fold>cnn/model/model.safetensors",
        left_out="<results>/<features_fold>cnn/model/left_out.json",
        history="<results>/<features_fold>cnn/model/history.tsv",
        means="<results>/<features_fold>cnn/model/out_of_fold.tsv",
    log:
        "<logs>/cnn/<features_fold>cnn.log",
    benchmark:
        "<benchmarks>/cnn/<features_fold>cnn.tsv"
    priority: 4
    conda:
        "../../envs/language.yaml"
    threads: 1
    resources:
        mem_mb=doubling(6000),
        runtime=480,
        gpu=RUN.gpus_of_extractor,
    params:
        inputs=subpath(input.inputs, parent=True),
        cohort=subpath(input.cohort, parent=True),
        folder=subpath(output.config, parent=True),
        seed=RUN.seed,
        tile_length=RUN.sections["features"].tile_length,
        options=lambda wildcards: RUN.options("cnn"),
    message:
        "Training the convolutional extractor on the training genes"
    shell:
        "python -m gta cnn --inputs {params.inputs:q} --cohort {params.cohort:q} --seed {params.seed:q} --threads {threads}"
        " --tile-length {params.tile_length:q} {params.options} --out {params.folder:q} &> {log:q}"
