"""Making reports: what is asked, what it is made from, and the file that comes of it."""
