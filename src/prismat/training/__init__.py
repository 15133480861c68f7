"""From a store and a recipe to a trained model."""
