"""Where imagery is: catalogues, Planet, and a person's own files, all answered as Scenes."""
