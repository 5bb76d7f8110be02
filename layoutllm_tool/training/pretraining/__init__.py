"""The seven pre-training tasks (paper section 3.1) as instructions: DDD, TLR, DLA, TU, MVLM, MPI, GLI."""
