"""What answers over HTTP: the review page of a batch's results, and the reader as a service."""
