"""What a run was made of: code, configuration, inputs, software, hardware, and the checksums of its results."""
