//! The API over its real routes and a real store, as programs and browsers meet it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin;
mod below;
mod chats;
mod desk;
mod documents;
mod h2ogpte;
mod hostile;
mod shares;
mod showcase;
mod signin;
mod sources;
mod users;
mod world;
