// Gives the precompiled header's library the one source it needs to exist.
