"""Why a match is a match: attributions and attention, each with its check."""
