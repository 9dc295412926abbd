"""What the prompt is worth on small simulated studies, from the simulation to the evaluation: nothing where the text says nothing,
much where it says a lot.

Both studies are small so that a run takes half a minute of one CPU core; the numbers are noisier than those of the demo. See
TOLERANCE and LEAST_GAIN for how far they spread.
"""
