"""Technical indicators: arrays in, arrays out. Nothing here reads, writes or logs.

`catalog` says what there is, `panel` lays bars out, `compute` runs the kernels over them, `frames` does all of it for a frame.
"""
