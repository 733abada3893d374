"""The objective of a search: raw values of scorers as desirabilities, and their mean as the score."""
