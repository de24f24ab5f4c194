"""The HTTP API and the console behind one door: assembles every room's routes and signs callers in."""
