"""Audit of a head: how far things that are not the music move its scores."""
