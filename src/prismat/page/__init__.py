"""What pages share: headed sections, numbers in words, plots in the page's colours."""
