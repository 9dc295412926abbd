"""The trained extractor: a convolutional network that learns mean expression from the sequence around the TSS of training genes."""
