//! Tests of the whole: the real binary on real files. One program, one module a subject.

mod accounts;
mod chaos;
mod commands;
mod configuration;
mod export;
mod follow;
mod formats;
mod hostile;
mod pack;
mod secrets;
mod serve;
mod served;
mod tidy;
mod viewer;
mod world;
