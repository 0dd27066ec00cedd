"""Training: objectives, optimisers and the one loop; knows no task and no estimator."""
