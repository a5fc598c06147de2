"""Why a bundle answers as it does: attributions, Shapley values, similar patients, and what would change the answer."""
