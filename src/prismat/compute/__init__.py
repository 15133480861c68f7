"""Electronic structure on one's own machine: densities of states and electron densities with Abinit."""
