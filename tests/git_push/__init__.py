"""A Procfile platform on this machine, from Debian's git, OpenSSH and nginx."""
