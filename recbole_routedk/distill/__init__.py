"""Teacher to knowledge: patterns, rules, thoughts and the teachers that write them."""
