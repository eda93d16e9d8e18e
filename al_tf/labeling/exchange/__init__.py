"""Labels and models that leave the desk or come from elsewhere: exports, Label Studio, predictions."""
