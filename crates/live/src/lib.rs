//! Follow, fan out, forward.
