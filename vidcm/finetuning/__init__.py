"""Fine-tuning on one's own footage: training that is judged on held-out clips while it runs, and keeps what is best."""
