"""The machine below the data: what this installation needs to run, and the reference pages it writes about itself."""
