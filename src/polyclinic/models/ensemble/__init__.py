"""From the predictions of members to one calibrated prediction."""
