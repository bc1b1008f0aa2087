//! Holds the promises that ARCHITECTURE.md makes.
