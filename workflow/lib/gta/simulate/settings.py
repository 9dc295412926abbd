"""What can be set of a simulation, and which settings make sense together."""

from dataclasses import dataclass

from gta.errors import UserError
from gta.settings import MAX_SEED, setting

#: Length of the run of N at the start of each contig, bp.
N_RUN = 10_000
#: The smallest spacing of two TSSs is this share of the mean spacing (45 kb at the default of 65 kb).
MINIMUM_SPACING_SHARE = 9 / 13
#: Around every TSS this many bp on either side belong to the promoter (and CpG island) alone: no distal element lies there.
PROMOTER_HALF_WIDTH = 1_500
#: Distal elements lie at least this far from their TSS, bp.
MINIMUM_DISTAL_DISTANCE = 2_000


@dataclass(frozen=True)
class SimulateSettings:
    """A simulated cohort: people, genes, and the rule by which sequence makes expression."""

    seed: int = setting(1, "Seed of every random choice; the same seed gives the same bytes.", minimum=0, maximum=MAX_SEED)
    people: int = setting(120, "Number of people, divided equally among the populations.", minimum=10, maximum=100_000)
    population_names: list[str] = setting(
        ["POP1", "POP2"], "Names of the populations; they split from one ancestor 2,000 generations ago."
    )
    contigs: int = setting(2, "Number of contigs, named sim1, sim2, ...", minimum=1, maximum=100)
    genes: int = setting(80, "Number of genes with expression, divided equally among the contigs.", minimum=1, maximum=20_000)
    annotated_genes: int = setting(
        600,
        "Number of genes in annotation.tsv; those beyond `genes` have text only, as material for a language model.",
        minimum=1,
    )
    mean_spacing: int = setting(
        65_000, "Mean distance between neighbouring TSSs in bp; the smallest is 9/13 of it.", minimum=13_000, maximum=1_000_000
    )
    margin: int = setting(
        70_000, "Distance in bp of the first and the last TSS of a contig from its ends.", minimum=N_RUN, maximum=10_000_000
    )
    max_distal_distance: int = setting(
        50_000,
        "Largest distance in bp between a TSS and its distal elements; smaller than half a window of the run.",
        minimum=MINIMUM_DISTAL_DISTANCE + 1_000,
    )
    indel_share: float = setting(0.10, "Share of the variants that are short indels (1-10 bp).", minimum=0.0, maximum=0.5)
    text_effect: float = setting(
        1.0,
        "Factor of what a gene's text class adds to ln expression; 0: text says nothing about mean expression (control).",
        minimum=0.0,
        maximum=10.0,
    )
    text_modulates: bool = setting(
        False,
        "Whether the text class also decides, for half of the (class, factor) pairs, that a transcription factor acts in the "
        "opposite direction, so that the sign of a variant's effect depends on the text.",
    )


def minimum_spacing(settings: SimulateSettings) -> int:
    """The smallest distance between two neighbouring TSSs, bp."""
    return int(settings.mean_spacing * MINIMUM_SPACING_SHARE)


def check(settings: SimulateSettings) -> None:
    """See that the settings make sense together.

    Raises:
        UserError: naming the settings that contradict each other and what to change.
    """
    names = settings.population_names
    if not names:
        raise UserError("population_names is empty: name at least one population.")
    if len(set(names)) < len(names):
        raise UserError(f"population_names {names} has a name twice: give every population its own name.")
    for name in names:
        if not name.isascii() or not name.isprintable() or not name or set(name) & set(" \"'/\\"):
            raise UserError(f"population_names: {name!r} is no usable name; use letters, digits, '_', '-' and '.'.")
    if settings.people < 2 * len(names):
        raise UserError(
            f"people: {settings.people} are too few for {len(names)} populations; take at least two people per population."
        )
    if settings.genes < settings.contigs:
        raise UserError(
            f"genes: {settings.genes} are fewer than the {settings.contigs} contigs; take more genes or fewer contigs."
        )
    if settings.annotated_genes < settings.genes:
        raise UserError(
            f"annotated_genes: {settings.annotated_genes} is smaller than genes ({settings.genes}), "
            "but every gene is annotated; raise annotated_genes."
        )
    needed = N_RUN + settings.max_distal_distance + PROMOTER_HALF_WIDTH
    if settings.margin < needed:
        raise UserError(
            f"margin: with {settings.margin} bp the contigs are too short for the distal elements of the first and last genes; "
            f"raise margin to {needed} or lower max_distal_distance."
        )
