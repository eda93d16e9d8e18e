"""The labeling desk: what a screen may ask, the local web page, and the notebook widget."""
