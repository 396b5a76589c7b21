"""From a folder of scans to 2-D slices: cohorts, volumes, slices, splits."""
