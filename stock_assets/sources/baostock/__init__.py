"""BaoStock: the official package builds the requests and reads the answers, on a transport of our own."""
