"""`uqcv doctor`: whether what is installed works, and a bundle through the real engines too."""
