"""Labels and models written and read: exports, Label Studio's files, predictions."""
