"""Comparing a results folder with the checksums of its run."""
