"""Attribution of the whole answer: networks, classical members, their combination, and calibration."""
