"""Every request that was made to a teacher, kept so that none is made twice."""
