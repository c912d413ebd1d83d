"""Models x data sets x seeds: what is run, how results are summed up, tested and shown."""
