"""The review: one HTML file that shows what was found, what was decided and what was learned, without a network."""
