"""The instruments of the tests: fills, references, bounds, comparisons, poison, planted faults.

Nothing here calls a kernel of gpukern, and the kernels call nothing here.
"""
