# Entry for `snakemake` run in the root of the repository; the workflow itself is in workflow/Snakefile.
include: "workflow/Snakefile"


# An included file never sets the default target.
rule default:
    default_target: True
    input:
        rules.all.input,
