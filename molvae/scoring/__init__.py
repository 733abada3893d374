"""The objective of a search: properties as desirabilities, and their mean as the score."""
