"""What an evaluation found, in words, as a table in a terminal and on the page, as JSON and as a picture."""
