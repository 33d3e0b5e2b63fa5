"""What scripts/bench is made of; its own text tells how the files belong together."""
