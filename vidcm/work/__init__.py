"""Lists of jobs: what became of each is kept, one process or many make them."""
