"""Transcription factors at work in lymphoblastoid cells.

The factors with ChIP-seq in GM12878 in the ENCODE project that have a JASPAR CORE vertebrate matrix, and the close relatives
through which their motif is known (for example the heterodimers of BATF and JUN). A list of names rather than of matrix ids, so
that it holds for every release of JASPAR; names are compared without regard to case.
"""

FACTORS = (
    *("ARNT", "ATF2", "ATF7", "BACH1", "BATF", "BATF3", "BATF::JUN", "BCL11A", "BCL6", "BHLHE40", "CEBPB", "CEBPZ", "CREB1", "CREM"),
    *("CTCF", "CUX1", "E2F4", "E2F8", "EBF1", "EGR1", "ELF1", "ELK1", "ELK4", "ETS1", "ETV6", "FOS", "FOS::JUND", "FOXK2", "FOXP1"),
    *("GABPA", "GFI1", "HSF1", "IKZF1", "IKZF2", "IRF1", "IRF3", "IRF4", "IRF5", "IRF8", "JUNB", "JUND", "KLF5", "MAFK", "MAX"),
    *("MAX::MYC", "MAZ", "MEF2A", "MEF2B", "MEF2C", "MLX", "MXI1", "MYB", "MYC", "NFATC1", "NFATC3", "NFE2", "NFIC", "NFKB1", "NFKB2"),
    *("NFYA", "NFYB", "NR2C1", "NR2C2", "NR2F1", "NRF1", "PAX5", "PBX3", "PKNOX1", "POU2F1", "POU2F2", "PRDM1", "RELA", "RELB", "REST"),
    *("RFX1", "RFX5", "RUNX3", "RXRA", "SIX5", "SMAD5", "SNAI1", "SP1", "SPI1", "SPIB", "SREBF1", "SREBF2", "SRF", "STAT1", "STAT3"),
    *("STAT5A", "TBP", "TBX21", "TCF12", "TCF3", "TCF7", "TFDP1", "THAP1", "USF1", "USF2", "YY1", "ZBTB11", "ZBTB33", "ZEB1", "ZNF143"),
    *("ZNF24", "ZNF274", "ZNF384"),
)
