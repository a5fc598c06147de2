"""Training: losses, fitting, cross-fitting, cross-validation and evaluation of a study on a cohort."""
