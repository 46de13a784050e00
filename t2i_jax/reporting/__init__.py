"""The page, the Markdown and the CSV table that compare the runs of a sweep."""
