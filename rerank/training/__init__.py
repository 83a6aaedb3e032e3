"""Fine-tuning a reranker on labelled folders: mining, the model, the loop, the gate and the report."""
