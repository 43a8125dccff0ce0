"""Header facts of models on disk or elsewhere, without their weights."""
