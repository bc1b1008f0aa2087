//! Tests of the whole: the real binary on real files. One program, one module a subject.

mod export;
mod formats;
mod hostile;
mod tidy;
mod world;
