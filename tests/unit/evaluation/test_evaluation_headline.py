"""What is printed below the headline table."""

from pathlib import Path

from gta.evaluation.headline import enrichment_lines


def test_the_enrichment_of_an_attribution_is_one_line_per_region(tmp_path: Path) -> None:
    path = tmp_path / "enrichment.tsv"
    path.write_text(
        "region\tmeasure\tn_genes\tn_tiles\tn_positive\tauroc\tci_low\tci_high\n"
        "all\tdeletion\t7\t70\t9\t0.61\t0.5\t0.7\nall\tnearness_to_tss\t7\t70\t9\t0.9\t0.8\t0.95\ndistal\tdeletion\t5\t50\t4\t0.5\t0.4\t0.6\n"
    )
    assert enrichment_lines(path) == [
        "Attribution, all tiles (9 tiles with known elements, 7 genes), AUROC: deletion 0.61 [0.50, 0.70]; "
        "nearness_to_tss 0.90 [0.80, 0.95]",
        "Attribution, distal tiles (4 tiles with known elements, 5 genes), AUROC: deletion 0.50 [0.40, 0.60]",
    ]
