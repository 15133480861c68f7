"""How far an answer can be trusted: probabilities, candidate sets, abstention, what to measure next."""
