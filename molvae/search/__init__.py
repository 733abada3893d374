"""Search in latent space: optimizers that propose and learn, and the loop that decodes and scores."""
