"""Clips from prompts and images to files: jobs, one by one or from a manifest, on one process or several."""
