"""The review page of a batch's results, over HTTP or as one file."""
