"""How good a molecule is: properties as desirabilities, and one score from several of them."""
