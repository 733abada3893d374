"""Search among latent points: optimizers that ask and tell, and the loop that decodes and scores between the two."""
