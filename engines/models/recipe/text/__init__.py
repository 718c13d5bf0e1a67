"""Sentences of the small domain: numbers, money, times, commands, cards, and plain English made from templates."""
