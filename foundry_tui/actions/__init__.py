"""One function per ability, nouns in, nouns out: all the wiring between faces and rooms."""
