"""Attribution: which tiles of a gene's window made the prediction, as tables, genome-browser tracks and figures."""
