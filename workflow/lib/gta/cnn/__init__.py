"""The trained extractor: convolutional networks that learn mean expression from sequence around the TSS."""
