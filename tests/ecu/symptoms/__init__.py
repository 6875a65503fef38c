"""Short scenes that bring a planted defect's symptom out: True if the car behaved as a healthy one must.

Each function bears the name of its defect and gets a car that is not powered yet.
"""
