"""The simulate stage: a cohort with a known answer, for the demo and for tests of the whole workflow.

It invents genotypes (coalescent), a human-like reference, genes whose expression follows a stated rule from planted
transcription-factor sites, annotation text that carries some information, and the truth behind all of it. The rule is written
down in `docs/simulation.md`. The modules, in the order in which data flow: `settings`, `names`, `layout`, `genotypes`,
`reference`, `motifs`, `elements`, `alleles`, `text` (with `vocabulary`),
`modulation`, `expression`, `write`, and `run`, which calls them.
"""
