"""What would run: both shipped configurations, from the root and from elsewhere, quickly."""

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from running import REPOSITORY, TINY, Snakemake, environment

#: Jobs of the demo: two contigs, three models with two seeds each.
DEMO = {
    "simulate": 1,
    "inputs": 1,
    "cohort": 1,
    "haplotypes": 2,
    "features": 2,
    "language_pretrain": 1,
    "language_prompts": 1,
    "language_prototypes": 1,
    "aligner_train": 6,
    "aligner_predict": 3,
    "baselines_elastic_net": 1,
    "baselines_mean": 1,
    "baselines_ridge": 1,
    "baselines_stack": 1,
    "baselines_text": 1,
    "baselines_top_eqtl": 1,
    "evaluation_score": 1,
    "evaluation_ablations": 1,
    "attribution": 1,
    "provenance": 1,
    "compressor_baselines": 1,
    "compressor_corpus": 1,
    "compressor_parameters": 1,
    "compressor_summary": 1,
    "compressor_train": 1,
}


def jobs(said: str) -> dict[str, int]:
    """The table of jobs that a dry run shows, without those of the report."""
    counts = {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", said, flags=re.MULTILINE)}
    return {name: n for name, n in counts.items() if name not in ("total", "all", "default") and not name.startswith("report_")}


def test_demo_is_the_default(snakemake: Snakemake, tmp_path: Path) -> None:
    done = snakemake("-n")
    assert done.returncode == 0, done.stderr
    assert "report_compression" not in done.stdout + done.stderr, "no model compresses anything"
    assert jobs(done.stdout + done.stderr) == DEMO
    assert not (tmp_path / "results").exists()


def test_everything_that_counts_is_made_before_its_checksum(snakemake: Snakemake) -> None:
    """The rules that the provenance waits for, directly or not, are all but those that only draw and tabulate."""
    said = snakemake("--rulegraph").stdout
    names = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)"', said, flags=re.MULTILINE))
    needs: dict[str, set[str]] = {name: set() for name in names.values()}
    for before, after in re.findall(r"^\s*(\d+) -> (\d+)", said, flags=re.MULTILINE):
        needs[names[after]].add(names[before])
    waited_for, ahead = {"provenance"}, ["provenance"]
    while ahead:
        new = needs[ahead.pop()] - waited_for
        waited_for |= new
        ahead += new
    assert {"simulate", "compressor_summary", "evaluation_ablations"} <= waited_for
    assert {name for name in needs if name not in waited_for and not name.startswith("report_")} <= {"default", "all"}


def test_plan_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from snakemake.cli import main\n"
        f"sys.argv = ['snakemake', '-n', '-q', '-s', {str(REPOSITORY / 'Snakefile')!r}]\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    status = ended.code\n"
        "print(status, [name for name in ('torch', 'transformers', 'pandas', 'pysam', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr


def test_real_data(snakemake: Snakemake, real_data: Path) -> None:
    configuration = REPOSITORY / "config" / "chr22.yaml"
    done = snakemake("-n", "--configfile", configuration, "--config", f"data_dir={real_data / 'geuvadis-chr22'}")
    assert done.returncode == 0, done.stderr
    expected = {name: n for name, n in DEMO.items() if not name.startswith("compressor_")} | {"haplotypes": 1, "features": 1}
    del expected["simulate"], expected["language_pretrain"]
    assert jobs(done.stdout + done.stderr) == expected


def test_all_ablations_over_the_demo(snakemake: Snakemake) -> None:
    """Random weights, and every mode of prompts, are made once and for those models only that read them."""
    done = snakemake("-n", "--configfile", REPOSITORY / "config" / "demo.yaml", REPOSITORY / "config" / "ablations.yaml")
    assert done.returncode == 0, done.stderr
    assert jobs(done.stdout + done.stderr) == {
        **DEMO,
        "language_randomise": 1,
        "language_prompts": 5,  # pretrained: full, symbol, blank, none; random: full
        "language_prototypes": 2,
        "aligner_train": 22,
        "aligner_predict": 11,
    }


def test_every_ratio_is_tested_without_training_too(snakemake: Snakemake) -> None:
    chosen = "compressor={encoders: [aoc, lora_r2], lengths: [8, 16], memory_tokens: [2, 4, 8]}"
    done = snakemake("-n", "-p", "--configfile", TINY, "--config", chosen, "--", "aoc")
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    found = jobs(said)
    assert (found["compressor_train"], found["compressor_baselines"]) == (12, 6)
    given = re.findall(r"compressor baselines .* --length (\d+) +--memory-tokens (\d+) ", said)
    assert sorted(set(given)) == sorted(itertools.product(["8", "16"], ["2", "4", "8"]))
    (summary,) = set(re.findall(r"compressor summary --runs (.*) --seed", said))
    assert len(summary.split()) == 12 + 2 * 6


def test_compressors_are_trained_for_the_models_that_use_them(snakemake: Snakemake) -> None:
    """Once for each number of memory tokens; a compressor that is tuned hands no compressed prompts over."""
    models = (
        "models={b: {compressor: aoc}, c: {compressor: aoc, tune_compressor: true}, d: {compressor: truncate},"
        " e: {compressor: aoc, memory_tokens: 2, tune_compressor: true}, f: {context: aoc, context_near: 4}}"
    )
    done = snakemake("-n", "-p", "--configfile", TINY, "--config", models)
    assert done.returncode == 0, done.stderr
    found = jobs(done.stdout + done.stderr)
    made = {name: found[name] for name in ("compressor_train", "compressor_prompts", "language_prompts", "aligner_train")}
    assert made == {"compressor_train": 2, "compressor_prompts": 2, "language_prompts": 1, "aligner_train": 6}
    assert re.search(r"^report_compression +1$", done.stdout + done.stderr, flags=re.MULTILINE)
    given = re.findall(r"--compressor-weights (\S+) .*--out \S+/(\w)/seed1", done.stdout + done.stderr)
    assert [(Path(folder).parent.name, model) for folder, model in sorted(set(given), key=lambda pair: pair[1])] == [
        ("aoc.n96.m4.lr0.003.seed1", "c"),
        ("aoc.n96.m2.lr0.003.seed1", "e"),
    ]


def test_new_people_are_predicted_by_the_stages_of_the_study(snakemake: Snakemake, tmp_path: Path) -> None:
    (tmp_path / "new.vcf").write_text("##fileformat=VCFv4.2\n")
    done = snakemake("-n", "--config", "predict={genotypes: new.vcf, contigs: [sim1]}", "--", "predict")
    assert done.returncode == 0, done.stderr
    planned = jobs(done.stdout + done.stderr)
    new = {name: n for name, n in planned.items() if name.startswith("predict")}
    assert new == {"predict_prepare": 1, "predict_haplotypes": 1, "predict_features": 1, "predict_prompts": 1, "predict": 1}
    assert planned["aligner_train"] == 2 and "evaluation_score" not in planned


def test_a_second_cohort_is_evaluated_only_where_it_is_asked_for(snakemake: Snakemake, tmp_path: Path) -> None:
    for name in ("new.vcf", "new.bed"):
        (tmp_path / name).write_text("##fileformat=VCFv4.2\n")
    second = "predict={genotypes: new.vcf, contigs: [sim1], expression: new.bed}"
    done = snakemake("-n", "--config", second, "--", "transfer")
    assert done.returncode == 0, done.stderr
    planned = jobs(done.stdout + done.stderr)
    wanted = {"evaluation_transfer", "predict", "baselines_elastic_net", "baselines_top_eqtl"}
    assert wanted <= set(planned) and "evaluation_score" not in planned
    assert re.search(r"^report_transfer +1$", done.stdout + done.stderr, flags=re.MULTILINE)
    done = snakemake("-n", "--config", second)
    assert jobs(done.stdout + done.stderr) == DEMO


def test_new_people_are_predicted_with_compressed_prompts_of_their_genes(snakemake: Snakemake, tmp_path: Path) -> None:
    (tmp_path / "new.vcf").write_text("##fileformat=VCFv4.2\n")
    new = ("predict={genotypes: new.vcf, contigs: [sim1], model: a}", "models={a: {compressor: aoc}}")
    done = snakemake("-n", "--configfile", TINY, "--config", *new, "--", "predict")
    assert done.returncode == 0, done.stderr
    planned = jobs(done.stdout + done.stderr)
    # The study's own for the training, those of the genes to predict for the prediction.
    assert (planned["compressor_prompts"], planned["predict_compressed_prompts"]) == (1, 1)
    assert "predict_prompts" not in planned


def test_a_model_of_the_hub_is_downloaded_and_minilm_copied(snakemake: Snakemake) -> None:
    hub = f"language={{model: lab/good, revision: {'0' * 40}}}"
    done = snakemake("-n", "--configfile", TINY, "--config", hub, "models={gta: {}, m: {language_model: minilm}}")
    assert done.returncode == 0, done.stderr
    found = jobs(done.stdout + done.stderr)
    assert {name: n for name, n in found.items() if name.startswith("language_")} == {
        "language_download": 1,
        "language_minilm": 1,
        "language_prompts": 2,
        "language_prototypes": 2,
    }


def test_gguf_files_and_first_blocks_are_made_once(snakemake: Snakemake, tmp_path: Path) -> None:
    (tmp_path / "some.gguf").write_bytes(b"GGUF")
    of_language = {
        f"language={{model: {tmp_path}/some.gguf, blocks: 2}}": {"language_convert": 1, "language_cut": 1},
        "language={model: smollm2}": {"language_smollm2": 1},
        "language={blocks: 2}": {"language_pretrain": 1, "language_cut": 1},
    }
    for language, expected in of_language.items():
        done = snakemake("-n", "--configfile", TINY, "--config", language, "models={gta: {}}")
        assert done.returncode == 0, done.stderr
        found = {name: n for name, n in jobs(done.stdout + done.stderr).items() if name.startswith("language_")}
        assert found == {**expected, "language_prompts": 1, "language_prototypes": 1}


def test_only_full_prompts_read_the_expression_and_only_for_examples(snakemake: Snakemake, tmp_path: Path) -> None:
    (tmp_path / "new.vcf").write_text("##fileformat=VCFv4.2\n")
    shared = ("predict={genotypes: new.vcf}", "models={gta: {}, b: {prompt: blank}}")

    def commands(*config: str) -> dict[str, str]:
        """The command of each job that makes prompts, by its folder."""
        done = snakemake("-n", "-p", "-F", "--configfile", TINY, "--config", *shared, *config, "--", "all", "predict")
        assert done.returncode == 0, done.stderr
        made = re.findall(r"(gta language prompts .*) --out results/tiny/(\S+) ", done.stdout + done.stderr)
        return {folder: command for command, folder in made}

    without, made = commands(), commands("language={examples: 3}")
    full, plain, blank = (f"language/pretrained/{mode}" for mode in ("full", "plain", "blank"))
    assert set(without) == {full, blank, f"predict/{full}"} and set(made) == {*without, plain}
    # As it was before there were examples, to the letter: another command or parameter would repeat the job.
    assert without[full] == (
        "gta language prompts --cohort results/tiny/cohort --annotation results/tiny/inputs/annotation.tsv"
        " --model results/tiny/language/model --mode full --template=gene.j2 '--task=Expression in'"
        " '--cell-type=lymphoblastoid cells' --max-prompt-tokens=96 --truncation=end --precision=auto"
        " --max-cache-gb=4.0 --threads 1"
    )
    assert made[blank] == without[blank] == without[full].replace("--mode full", "--mode blank")
    assert made[plain] == without[full].replace("--mode full", "--mode plain")
    for folder in (full, f"predict/{full}"):
        # The folder is that of the rule's input `examples`, which is empty where there are none.
        options = " --examples=3 --example-words=12 --training-cohort=results/tiny/cohort --threads"
        assert made[folder] == without[folder].replace(" --threads", options)


def test_text_of_public_files_is_added_before_prompts_are_made(snakemake: Snakemake, real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "info.tsv").write_text("#tax_id\tGeneID\n")
    done = snakemake(
        *("-n", "--configfile", REPOSITORY / "config" / "chr22.yaml"),
        *("--config", f"data_dir={real_data / 'geuvadis-chr22'}", f"data={{gene_info: {tmp_path / 'info.tsv'}}}"),
    )
    assert done.returncode == 0, done.stderr
    assert jobs(done.stdout + done.stderr)["language_annotate"] == 1


def test_another_configuration_does_not_mix_with_the_demo(snakemake: Snakemake) -> None:
    done = snakemake("-n", "--configfile", TINY)
    assert done.returncode == 0, done.stderr
    assert jobs(done.stdout + done.stderr)["aligner_train"] == 1
    assert "results/demo" not in done.stdout + done.stderr


def test_one_key_on_the_command_line(snakemake: Snakemake) -> None:
    done = snakemake("-n", "--config", "aligner={seeds: 1}", "results=elsewhere/x")
    assert done.returncode == 0, done.stderr
    assert jobs(done.stdout + done.stderr)["aligner_train"] == 3
    assert "elsewhere/x/cohort/genes.tsv" in done.stdout + done.stderr


def test_workflow_as_a_module_of_another(tmp_path: Path) -> None:
    """It is planned whole, and its first steps are done, in the folder of the other workflow."""
    small = {**yaml.safe_load(TINY.read_text())["simulation"], "people": 10}
    (tmp_path / "Snakefile").write_text(
        f"module gta:\n    snakefile: {str(REPOSITORY / 'workflow' / 'Snakefile')!r}\n"
        f"    config: {{'results': 'mine', 'simulation': {small!r}}}\n\n"
        "use rule * from gta as gta_*\n\nrule everything:\n    default_target: True\n    input: rules.gta_all.input\n"
    )
    words = [sys.executable, "-m", "snakemake", "--cores", "1"]
    planned = subprocess.run([*words, "-n"], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert planned.returncode == 0, planned.stderr
    assert "mine/evaluation/summary.tsv" in planned.stdout + planned.stderr
    done = subprocess.run([*words, "gta_inputs"], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine" / "inputs" / "people.tsv").read_text().count("\n") == 11


@pytest.mark.parametrize("path", ["Snakefile", "workflow/Snakefile"])
def test_style_of_snakemake(path: str) -> None:
    words = [sys.executable, "-m", "snakemake", "--lint", "-s", str(REPOSITORY / path)]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_format_of_snakemake_files() -> None:
    words = [str(Path(sys.executable).parent / "snakefmt"), "--check", "Snakefile", "workflow/Snakefile", "workflow/rules"]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_folds_train_and_predict_once_each(snakemake: Snakemake) -> None:
    folds = ("simulation={contigs: 3}", "cohort={folds: {number: 3}, genes_without_expression: predict}")
    done = snakemake("-n", "-p", "--configfile", TINY, "--config", *folds)
    assert done.returncode == 0, done.stderr
    planned = jobs(done.stdout + done.stderr)
    once = ("cohort", "folds_homologues", "language_prompts", "evaluation_score", "evaluation_unmeasured", "attribution")
    assert {name: planned[name] for name in once} == dict.fromkeys(once, 1)
    per_fold = ("folds_cohort", "aligner_train", "aligner_predict", "baselines_ridge", "baselines_text", "baselines_stack")
    assert {name: planned[name] for name in per_fold} == dict.fromkeys(per_fold, 3)
    assert "folds_prompts" not in planned
    assert (
        len(re.findall(r"--cohort results/tiny/folds/2/cohort .*--out results/tiny/folds/2/aligner", done.stdout + done.stderr))
        == 1
    )
    done = snakemake("-n", "--configfile", TINY, "--config", *folds, "language={examples: 2}")
    assert done.returncode == 0, done.stderr
    assert jobs(done.stdout + done.stderr)["folds_prompts"] == 3
