"""A made-up A-share market that speaks the sources' real wire protocols on loopback."""
